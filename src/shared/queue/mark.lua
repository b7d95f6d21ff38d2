#!lua flags=allow-oom
-- Writes down, before a call, that its operations are about to be called: for those that were pending when a worker died, and for calls
-- that must be repeated exactly.
-- Atomic: only the lease's holder may write, and a group of which a part is marked would be another group to its next owner.
-- KEYS: 1 lease (hash); 2 trials (hash). ARGV: 1 owner; 2 epoch; 3 all trials in one text, for each: entry id, trial, each followed by the
--   separator 0x1F, which no JSON text can hold: a record's group may be as large as what its queue may hold, more than a client can pass
--   as arguments.
-- Reply: {'marked'} or {'lost'}. Run twice: the same. Cost: O(trials).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
local values = {}
for text in string.gmatch(ARGV[3], '([^\31]*)\31') do values[#values + 1] = text end
-- Lua unpacks at most some 8,000 values at once.
for from = 1, #values, 4000 do redis.call('HSET', KEYS[2], unpack(values, from, math.min(from + 3999, #values))) end
return {'marked'}
