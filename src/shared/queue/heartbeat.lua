#!lua flags=allow-oom
-- Says that a worker lives, forgets those that no longer do, and tells who is there.
-- Atomic: the set and what its members say of themselves belong together.
-- KEYS: 1 fleet (sorted set); 2 what workers say of themselves (hash). ARGV: 1 worker; 2 life, ms (0: it leaves); 3 its info, JSON; 4 channel for changes.
-- Reply: {'alive', worker ids, ms until the first heartbeat ends}. Run twice: the same. Cost: O(workers).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changes
if ARGV[2] == '0' then
  changes = redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  changes = redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
for _, worker in ipairs(gone) do
  redis.call('ZREM', KEYS[1], worker)
  redis.call('HDEL', KEYS[2], worker)
end
if changes + #gone > 0 then redis.call('PUBLISH', ARGV[4], ARGV[1]) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {'alive', redis.call('ZRANGE', KEYS[1], 0, -1), first[2] and tonumber(first[2]) - now or 0}
