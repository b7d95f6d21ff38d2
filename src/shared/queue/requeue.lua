-- Takes a dead letter out of its stream, and either puts the operation back into its queue as a new one or drops it.
-- Atomic: it must be in exactly one place.
-- KEYS: 1 dead letters (stream); 2 their index (hash); 3 providers with dead letters (set); 4 the queue (stream); 5 counters (hash); 6 ready (set);
--   7 queues (sorted set); 8 result bucket of the dead letter (hash).
-- ARGV: 1 queue; 2 entry id of the dead letter; 3 provider; 4 bell channel; 5 'retry' or 'drop'; 6 field in the result bucket; 7 characters 3 to 6
--   of the operation's own result (see result.ts).
-- For as long as the result is kept: the field with an `n` after it tells what the operation was retried as, and the result of one that was dropped
--   says `X`, cancelled, instead of `D`, dead-lettered.
-- Reply: {'unknown'}; {'dropped'}; {'requeued', new entry id}. Run twice: 'unknown' the second time. Cost: O(1).
local field = ARGV[1] .. ' ' .. ARGV[2]
local id = redis.call('HGET', KEYS[2], field)
if not id then return {'unknown'} end
local letter = redis.call('XRANGE', KEYS[1], id, id)[1]
redis.call('HDEL', KEYS[2], field)
redis.call('XDEL', KEYS[1], id)
redis.call('HINCRBY', KEYS[5], 'x', -1)
if redis.call('HLEN', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[3])
  redis.call('DEL', KEYS[1])
end
if ARGV[5] == 'drop' or not letter then
  local outcome = redis.call('HGET', KEYS[8], ARGV[6])
  if outcome and string.sub(outcome, 1, 1) == 'D' and string.sub(outcome, 3, 6) == ARGV[7] then
    redis.call('HSET', KEYS[8], ARGV[6], 'X' .. string.sub(outcome, 2))
  end
  return {'dropped'}
end
local f = {}
for i = 1, #letter[2], 2 do f[letter[2][i]] = letter[2][i + 1] end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[5], 'a', 'm')
local added, ms = tonumber(known[1] or 0) + 1, string.format('%.0f', math.max(now, tonumber(known[2] or 0)))
local entry = string.format('%s-%.0f', ms, added)
redis.call('XADD', KEYS[4], entry, 'o', f.o, 'd', f.d, 'r', f.r)
redis.call('HSET', KEYS[5], 'a', added, 'm', ms)
if redis.call('SADD', KEYS[6], ARGV[1]) == 1 then
  redis.call('ZADD', KEYS[7], 'NX', now, ARGV[1])
  redis.call('PUBLISH', ARGV[4], cjson.encode({ARGV[1]}))
end
if redis.call('HEXISTS', KEYS[8], ARGV[6]) == 1 then redis.call('HSET', KEYS[8], ARGV[6] .. 'n', entry) end
return {'requeued', entry}
