#!lua flags=allow-oom
-- Reads the next entries of queues for their owner, with what is known of the entries' records.
-- Atomic: only the lease's holder may read, and a drained queue must leave `ready` before anything else is appended to it.
-- KEYS: for each queue five: lease (hash), ready (set), the queue (stream), its counters (hash), its records (hash). One slot on a cluster.
-- ARGV: 1 owner; 2 number of queues; then for each queue: name, epoch, most entries to read.
-- Reply: {'claimed', for each queue a list}: {'lost'} where lease or epoch is another's; else {'read', 1 if drained, last entry id of a group made
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

local reply = {'claimed'}
for i = 1, tonumber(ARGV[2]) do
  local k, at = (i - 1) * 5, i * 3
  local lease = redis.call('HMGET', KEYS[k + 1], 'owner', 'epoch')
  if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[at + 1] then
    reply[i + 1] = {'lost'}
  else
    local entries = readNew(KEYS[k + 3], KEYS[k + 4], ARGV[1], ARGV[at + 2])
    local isDrained = #entries < tonumber(ARGV[at + 2])
    if isDrained then redis.call('SREM', KEYS[k + 2], ARGV[at]) end
    local out = {'read', isDrained and 1 or 0, redis.call('HGET', KEYS[k + 4], 'r') or '', ''}
    if #entries > 0 then
      local digests = {}
      for j, entry in ipairs(entries) do digests[j] = entry[2][6] end
      local states = redis.call('HMGET', KEYS[k + 5], unpack(digests))
      local texts = {}
      for j, entry in ipairs(entries) do
        local o = (j - 1) * 5
        texts[o + 1], texts[o + 2], texts[o + 3], texts[o + 4], texts[o + 5] = entry[1], entry[2][2], entry[2][4], entry[2][6], states[j] or ''
      end
      out[4] = table.concat(texts, '\31') .. '\31'
    end
    reply[i + 1] = out
  end
end
return reply
