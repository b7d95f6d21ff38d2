#!lua flags=allow-oom
-- Tidies a queue: drops history older than its results, and the whole stream once nobody used it for that long.
-- Atomic: nothing may be appended between the look and the removal.
-- KEYS: 1 lease (hash); 2 queues (sorted set); 3 ready (set); 4 the queue (stream); 5 counters (hash); 6 trials (hash).
-- ARGV: 1 owner; 2 epoch; 3 name; 4 life of history, ms.
-- Reply: {'lost'}, {'removed'} or {'kept', entries dropped}. What is open is read from the stream itself; counters that a deletion by hand left
--   behind are put right. They stay when the stream goes, so that ranks never repeat. Run twice: the same. Cost: O(entries dropped).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end

-- Of our group: others may have made groups of their own.
local function lastDelivered(queue)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', queue)) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    if facts.name == 'workers' then return facts['last-delivered-id'] end
  end
end

-- Id of the oldest entry that is not final; false where there is none, nil where the group is missing and nobody can tell.
local function findOldestOpen(queue)
  local newest = redis.call('XREVRANGE', queue, '+', '-', 'COUNT', 1)[1]
  if not newest then return false end
  local pending = redis.pcall('XPENDING', queue, 'workers')
  if pending.err then return nil end
  if pending[2] then return pending[2] end
  local unread = redis.call('XRANGE', queue, '(' .. lastDelivered(queue), '+', 'COUNT', 1)[1]
  return unread and unread[1] or false
end

local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[5], 'a', 'f', 'm', 'x')
local firstOpen = findOldestOpen(KEYS[4])
if firstOpen == nil then return {'kept', 0} end
if not firstOpen and known[1] and known[1] ~= known[2] then redis.call('HSET', KEYS[5], 'f', known[1]) end
if not firstOpen and tonumber(known[3] or 0) < oldest then
  redis.call('UNLINK', KEYS[4], KEYS[6])
  -- While it has dead letters it stays listed: they are counted by queue.
  if tonumber(known[4] or 0) <= 0 then redis.call('ZREM', KEYS[2], ARGV[3]) end
  redis.call('SREM', KEYS[3], ARGV[3])
  redis.call('HDEL', KEYS[5], 'g', 'r')
  return {'removed'}
end
local limit = string.format('%.0f', oldest) .. '-0'
if firstOpen and tonumber(string.match(firstOpen, '^%d+')) < oldest then limit = firstOpen end
return {'kept', redis.call('XTRIM', KEYS[4], 'MINID', limit)}
