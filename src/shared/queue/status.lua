-- Looks up one operation.
-- Atomic: it must not be missed while it moves from pending to final.
-- KEYS: 1 its result bucket (hash); 2 its queue (stream); 3 trials (hash). ARGV: 1 field in the bucket; 2 entry id.
-- Reply: {'final', packed outcome}; {'open', o, d, 1 if a worker has it, trial or ''}; {'unknown'}. Cost: O(1).
local outcome = redis.call('HGET', KEYS[1], ARGV[1])
if outcome then return {'final', outcome} end
local entry = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1]
if not entry then return {'unknown'} end
local pending = redis.pcall('XPENDING', KEYS[2], 'workers', ARGV[2], ARGV[2], 1)
local isPending = not pending.err and #pending == 1
return {'open', entry[2][2], entry[2][4], isPending and 1 or 0, redis.call('HGET', KEYS[3], ARGV[2]) or ''}
