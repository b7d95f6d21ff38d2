#!lua flags=allow-oom
-- Writes down, before a call, that its operations are about to be called: for those that were pending when a worker died, and for calls
-- that must be repeated exactly.
-- Atomic: only the lease's holder may write.
-- KEYS: 1 lease (hash); 2 trials (hash). ARGV: 1 owner; 2 epoch; then pairs of entry id and trial.
-- Reply: {'marked'} or {'lost'}. Run twice: the same. Cost: O(pairs).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
return {'marked'}
