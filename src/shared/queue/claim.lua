#!lua flags=allow-oom
-- Reads the next entries of queues for their owner, with what is known of the entries' records.
-- Atomic: only the lease's holder may read, and a drained queue must leave `ready` before anything else is appended to it.
-- KEYS: for each shard two: lease (hash), ready (set); and after them, for each of its queues, three: the queue (stream), its counters (hash), its
--   records (hash). One slot on a cluster.
-- ARGV: 1 owner; 2 number of shards; then for each shard: epoch, number of queues, and for each of these: name, most entries to read.
-- Reply: {'claimed', for each queue a list}: {'lost'} where its shard's lease or epoch is another's; else {'read', 1 if drained, last entry id of a group made
--   anew or '', entries}; entries is one text, for each entry: id, o, d, r, record state or '', each followed by the separator 0x1F, which no JSON text
--   can hold: one reply instead of thousands for the client to read.
-- A missing group is made again from the stream's beginning; entries up to the id in the reply may be final already.
-- Run twice: the second call reads further entries; the first one's stay pending for the caller. Cost: O(entries).
local function makeGroup(queue, counters)
  if redis.call('EXISTS', queue) == 0 then return false end
  redis.call('XGROUP', 'CREATE', queue, 'workers', '0')
  if redis.call('HGET', counters, 'g') then
    local last = redis.call('XREVRANGE', queue, '+', '-', 'COUNT', 1)
    if last[1] then redis.call('HSET', counters, 'r', last[1][1]) end
    redis.call('HSET', counters, 'f', tonumber(redis.call('HGET', counters, 'a')) - redis.call('XLEN', queue))
  end
  redis.call('HSET', counters, 'g', 1)
  return true
end

local function readNew(queue, counters, owner, count)
  local read = {'XREADGROUP', 'GROUP', 'workers', owner, 'COUNT', count, 'STREAMS', queue, '>'}
  local answer = redis.pcall(unpack(read))
  if answer and answer.err then
    if not string.find(answer.err, 'NOGROUP') then error(answer.err) end
    if not makeGroup(queue, counters) then return {} end
    answer = redis.call(unpack(read))
  end
  return answer and answer[1][2] or {}
end

local function withStates(entries, records)
  if #entries == 0 then return '' end
  local digests, texts = {}, {}
  for i, entry in ipairs(entries) do digests[i] = entry[2][6] end
  local states = redis.call('HMGET', records, unpack(digests))
  for i, entry in ipairs(entries) do
    local o = (i - 1) * 5
    texts[o + 1], texts[o + 2], texts[o + 3], texts[o + 4], texts[o + 5] = entry[1], entry[2][2], entry[2][4], entry[2][6], states[i] or ''
  end
  return table.concat(texts, '\31') .. '\31'
end

local reply, k, at = {'claimed'}, 0, 2
for _ = 1, tonumber(ARGV[2]) do
  local lease, ready, queues, drained = redis.call('HMGET', KEYS[k + 1], 'owner', 'epoch'), KEYS[k + 2], tonumber(ARGV[at + 2]), {}
  local isOwner = lease[1] == ARGV[1] and lease[2] == ARGV[at + 1]
  k, at = k + 2, at + 2
  for _ = 1, queues do
    local queue, counters, records = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
    local name, count = ARGV[at + 1], tonumber(ARGV[at + 2])
    k, at = k + 3, at + 2
    if isOwner then
      local entries = readNew(queue, counters, ARGV[1], count)
      local isDrained = #entries < count
      if isDrained then drained[#drained + 1] = name end
      reply[#reply + 1] = {'read', isDrained and 1 or 0, redis.call('HGET', counters, 'r') or '', withStates(entries, records)}
    else
      reply[#reply + 1] = {'lost'}
    end
  end
  if #drained > 0 then redis.call('SREM', ready, unpack(drained)) end
end
return reply
