-- Appends accepted operations to their queues. Each shard's bell rings once for all of its queues that nobody was reading.
-- Atomic: an entry's rank, its idempotency mark and the bell must not come apart.
-- KEYS: for each queue four: ready (set), queues (sorted set), the queue (stream), its counters (hash); then the idempotency keys (string).
--   All in one slot on a cluster; on a single Redis one call may serve several shards.
-- ARGV: 1 number of queues; 2 life of an idempotency mark, ms; 3 deadline, ms by Redis's clock: whoever called has given up then, and said that
--   nothing was accepted; 4 all operations in one text, queue by queue, for each: o, d, r (see entry.ts), index
--   into KEYS of its idempotency key or 0, each followed by the separator 0x1F, which no JSON text can hold (one argument instead of
--   thousands for the client to write); then for each queue: name, bell channel, number of operations.
-- Reply: {'late', now in ms} past the deadline: nothing was written; or {'queued', for each queue: entries not final, dead letters, then an entry id for each operation}. An operation whose idempotency
--   key is known gets the first one's entry id and is not appended again.
-- Run twice: appends twice, but for operations with an idempotency key.
-- Cost: O(operations).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[3]) then return {'late', now} end
local reply, rung = {'queued'}, {}
local operations, position = ARGV[4], 1

local function nextText()
  local stop = string.find(operations, '\31', position, true)
  local text = string.sub(operations, position, stop - 1)
  position = stop + 1
  return text
end

for i = 1, tonumber(ARGV[1]) do
  local k, at = (i - 1) * 4, i * 3 + 2
  local queue, counters = KEYS[k + 3], KEYS[k + 4]
  local name, bell, n = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local known = redis.call('HMGET', counters, 'a', 'm', 'f', 'x', 'g')
  local added, ms = tonumber(known[1] or 0), math.max(now, tonumber(known[2] or 0))
  local before = added
  local head = #reply
  reply[head + 2] = tonumber(known[4] or 0)
  for j = 1, n do
    local header, data, digest, mark = nextText(), nextText(), nextText(), tonumber(nextText())
    local id = mark > 0 and redis.call('GET', KEYS[mark])
    if not id then
      added = added + 1
      id = string.format('%.0f-%.0f', ms, added)
      redis.call('XADD', queue, id, 'o', header, 'd', data, 'r', digest)
      if mark > 0 then redis.call('SET', KEYS[mark], id, 'PX', ARGV[2]) end
    end
    reply[head + 2 + j] = id
  end
  reply[head + 1] = added - tonumber(known[3] or 0)
  if added > before then
    redis.call('HSET', counters, 'a', added, 'm', string.format('%.0f', ms))
    if redis.call('SADD', KEYS[k + 1], name) == 1 then
      -- A queue that has its group is listed: both go together.
      if not known[5] then redis.call('ZADD', KEYS[k + 2], 'NX', now, name) end
      rung[bell] = rung[bell] or {}
      table.insert(rung[bell], name)
    end
  end
end
for bell, names in pairs(rung) do redis.call('PUBLISH', bell, cjson.encode(names)) end
return reply
