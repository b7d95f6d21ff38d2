#!lua flags=allow-oom
-- Reads a page of a queue's entries that are not final, for a queue that is being given up.
-- Atomic: an unread entry becomes pending with the look at it, so that it can be acknowledged.
-- KEYS: 1 the queue (stream); 2 its counters (hash). ARGV: 1 entries a page.
-- Reply: {'page', last entry id of a group made anew or '', then for each entry: id, o, d, r, 1 if a worker has read it}; no entries: nothing is
--   left, and the counters say so: an unread entry that was deleted by hand counts as final. Entries up to the id in the reply may be final
--   already (see claim.lua). Run twice: the same entries until they are settled. Cost: O(entries).
if redis.call('EXISTS', KEYS[1]) == 0 then return {'page', ''} end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], 'workers', '0')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
if not made.err then
  if redis.call('HGET', KEYS[2], 'g') then
    redis.call('HSET', KEYS[2], 'r', redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1])
    redis.call('HSET', KEYS[2], 'f', tonumber(redis.call('HGET', KEYS[2], 'a')) - redis.call('XLEN', KEYS[1]))
  end
  redis.call('HSET', KEYS[2], 'g', 1)
end
-- A consumer that no worker is: what it holds was never called.
redis.call('XREADGROUP', 'GROUP', 'workers', 'purge', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>')
local reply = {'page', redis.call('HGET', KEYS[2], 'r') or ''}
local pending = redis.call('XPENDING', KEYS[1], 'workers', '-', '+', ARGV[1])
if #pending == 0 then redis.call('HSET', KEYS[2], 'f', redis.call('HGET', KEYS[2], 'a') or 0) end
for _, row in ipairs(pending) do
  local entry = redis.call('XRANGE', KEYS[1], row[1], row[1])[1]
  if entry then
    local o = #reply
    reply[o + 1], reply[o + 2], reply[o + 3], reply[o + 4] = row[1], entry[2][2], entry[2][4], entry[2][6]
    reply[o + 5] = row[2] == 'purge' and 0 or 1
  else
    redis.call('HINCRBY', KEYS[2], 'f', redis.call('XACK', KEYS[1], 'workers', row[1]))
  end
end
return reply
