#!lua flags=allow-oom
-- Gives a lease up, so that the next owner need not wait for its end.
-- Atomic: it may just have been taken by another.
-- KEYS: 1 lease (hash). ARGV: 1 owner; 2 epoch; 3 channel that tells the fleet.
-- Reply: {'released'}; {'lost'}. Run twice: 'lost' the second time, harmless. Cost: O(1).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
redis.call('HSET', KEYS[1], 'owner', '', 'until', '0')
redis.call('PUBLISH', ARGV[3], ARGV[1])
return {'released'}
