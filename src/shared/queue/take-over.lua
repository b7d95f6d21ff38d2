#!lua flags=allow-oom
-- Makes one page of a queue's pending entries the new owner's, and removes consumers that hold nothing any more.
-- Atomic: only the lease's holder may take entries.
-- KEYS: 1 lease (hash); 2 the queue (stream); 3 its records (hash); 4 its trials (hash); 5 its counters (hash).
-- ARGV: 1 owner; 2 epoch; 3 id to go on from ('-' at first, then '(' and the last id); 4 entries a page; 5 '1' if the former owner died: the entries'
--   delivery count, 1 until then, becomes the epoch, so that what this death means is known to every later owner.
-- Reply: {'lost'}; or {'taken', last id of the page or '' when there are no more, last entry id of a group made anew or '' (see claim.lua), then for
--   each entry: id, o, d, r, record state or '', delivery count, trial or ''}.
-- Entries that were deleted from the stream leave the pending list and count as final. Run twice: the same. Cost: O(entries in the page).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
local pending = redis.pcall('XPENDING', KEYS[2], 'workers', ARGV[3], '+', ARGV[4])
if pending.err then
  if string.find(pending.err, 'NOGROUP') then return {'taken', '', ''} end
  return pending
end
local reply = {'taken', '', redis.call('HGET', KEYS[5], 'r') or ''}
if #pending == 0 then
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[2], 'workers')) do
    local facts = {}
    for i = 1, #consumer, 2 do facts[consumer[i]] = consumer[i + 1] end
    if facts.pending == 0 and facts.name ~= ARGV[1] then redis.call('XGROUP', 'DELCONSUMER', KEYS[2], 'workers', facts.name) end
  end
  return reply
end
reply[2] = pending[#pending][1]
for _, row in ipairs(pending) do
  local id, deliveries = row[1], ARGV[5] == '1' and tonumber(ARGV[2]) or row[4]
  local entry = redis.call('XCLAIM', KEYS[2], 'workers', ARGV[1], 0, id, 'RETRYCOUNT', deliveries)[1]
  if entry then
    local f, o = entry[2], #reply
    reply[o + 1], reply[o + 2], reply[o + 3], reply[o + 4] = id, f[2], f[4], f[6]
    reply[o + 5] = redis.call('HGET', KEYS[3], f[6]) or ''
    reply[o + 6] = deliveries
    reply[o + 7] = redis.call('HGET', KEYS[4], id) or ''
  else
    redis.call('HINCRBY', KEYS[5], 'f', 1)
  end
end
return reply
