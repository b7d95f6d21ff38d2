#!lua flags=allow-oom
-- Tidies a queue: drops history older than its results, and the whole stream once nobody used it for that long.
-- Atomic: nothing may be appended between the look and the removal.
-- KEYS: 1 lease (hash); 2 queues (sorted set); 3 ready (set); 4 the queue (stream); 5 counters (hash); 6 trials (hash).
-- ARGV: 1 owner; 2 epoch; 3 name; 4 life of history, ms.
-- Reply: {'lost'}, {'removed'} or {'kept', entries dropped}. Counters stay, so that ranks never repeat. Run twice: the same.
-- Cost: O(entries dropped).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
local time = redis.call('TIME')
local oldest = time[1] * 1000 - tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[5], 'a', 'f', 'm')
local open = tonumber(known[1] or 0) - tonumber(known[2] or 0)
if open <= 0 and tonumber(known[3] or 0) < oldest then
  redis.call('UNLINK', KEYS[4], KEYS[6])
  redis.call('ZREM', KEYS[2], ARGV[3])
  redis.call('SREM', KEYS[3], ARGV[3])
  redis.call('HDEL', KEYS[5], 'g', 'r')
  return {'removed'}
end
local limit = string.format('%.0f', oldest) .. '-0'
if open > 0 then
  local pending = redis.pcall('XPENDING', KEYS[4], 'workers')
  if pending.err then return {'kept', 0} end
  local groups = redis.call('XINFO', 'GROUPS', KEYS[4])
  local firstOpen = pending[2]
  if not firstOpen then
    for i = 1, #groups[1], 2 do
      if groups[1][i] == 'last-delivered-id' then firstOpen = groups[1][i + 1] end
    end
  end
  if tonumber(string.match(firstOpen, '^%d+')) < oldest then limit = firstOpen end
end
return {'kept', redis.call('XTRIM', KEYS[4], 'MINID', limit)}
