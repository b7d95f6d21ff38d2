#!lua flags=allow-oom
-- Removes a queue of a deleted provider, once nothing in it is open.
-- Atomic: an operation accepted in this moment must not vanish with the stream.
-- KEYS: 1 queues (sorted set); 2 ready (set); 3 the queue (stream); 4 its counters (hash); 5 records (hash); 6 trials (hash). ARGV: 1 name.
-- Reply: {'forgotten'}; {'open', entries not final}. Counters stay, so that ranks never repeat; their `o` tells up to
--   which of them entries were the deleted provider's: its calls may end later. Run twice: the same. Cost: O(1), memory freed aside.
local known = redis.call('HMGET', KEYS[4], 'a', 'f', 'x')
local open = tonumber(known[1] or 0) - tonumber(known[2] or 0)
if open > 0 and redis.call('XLEN', KEYS[3]) > 0 then return {'open', open} end
redis.call('UNLINK', KEYS[3], KEYS[5], KEYS[6])
-- While it has dead letters it stays listed: they are counted by queue.
if tonumber(known[3] or 0) <= 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[4], 'g', 'r')
if known[1] then redis.call('HSET', KEYS[4], 'f', known[1], 'o', known[1]) end
return {'forgotten'}
