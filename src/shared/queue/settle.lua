#!lua flags=allow-oom
-- Records the ends of attempts: acknowledges what is final, with its outcome, its record's state and, if given up, its dead letter; keeps what
-- must survive of the others. Trims settled history.
-- Atomic: no crash may leave an operation acknowledged without outcome, or applied without record state.
-- KEYS: for each shard two: lease (hash), waiting (set); and after them, for each of its queues: the queue (stream), its counters (hash), the hash of
--   each list below that is not empty, then with dead letters three: the provider's (stream), their index (hash), providers with dead letters
--   (set), and for each letter the bucket of its result (hash). One slot on a cluster.
-- ARGV: 1 a JSON array, instead of thousands of arguments which the client would have to write one by one: 1 owner; 2 life of results, ms;
--   3 number of shards; then for each shard: epoch, `done` channel, number of its queues, of their keys and of their values, and for each of the
--   queues: name, provider, history entries to keep, and lists, each its length in values first: ids to acknowledge; of records: digest, state;
--   of trials: id, value; ids of trials to forget; of result buckets (how many, then each): field, value; dead letters (id, o, d, r, attempts,
--   error, now, field of the result, value).
-- Of entries whose provider was removed since (see forget.lua), neither records nor trials are written.
-- Reply: {'settled', for each queue 'ok' or 'lost' (lease or epoch is another's: nothing was written)}.
-- Run twice: the same, whatever became of its dead letters in between. Cost: O(arguments).
local ARGV = cjson.decode(ARGV[1])
local owner, resultTtl, reply, k, at = ARGV[1], ARGV[2], {'settled'}, 0, 3

local function nextKey()
  k = k + 1
  return KEYS[k]
end

local function nextValue()
  at = at + 1
  return ARGV[at]
end

-- The indices of the next list, the second less than the first where it is empty.
local function nextList()
  local first = at + 2
  at = first + ARGV[at + 1] - 1
  return first, at
end

local function writeList(command)
  local first, last = nextList()
  if last >= first then redis.call(command, nextKey(), unpack(ARGV, first, last)) end
end

-- Pairs of a field and a value. `removed`: the last rank of a provider that was removed, if one was: what its calls leave is not the next one's of its name.
local function writePairs(removed, rankOf)
  if not removed then return writeList('HSET') end
  local first, last = nextList()
  if last < first then return end
  local key = nextKey()
  for i = first, last, 2 do
    if rankOf(ARGV[i], ARGV[i + 1]) > tonumber(removed) then redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
  end
end

-- Of the change that made a record's state what it is (record-state.ts).
local function rankOfState(_, state)
  return tonumber(string.match(state, '^%w+%.(%w+)'), 36)
end

local function rankOfTrial(id)
  return tonumber(string.match(id, '-(%d+)'))
end

local function writeDeadLetters(name, provider, counters)
  local first, last = nextList()
  if last < first then return end
  local letters, index, providers = nextKey(), nextKey(), nextKey()
  for i = first, last, 9 do
    local member, bucket, field, outcome = name .. ' ' .. ARGV[i], nextKey(), ARGV[i + 7], ARGV[i + 8]
    local before = redis.call('HGET', bucket, field)
    -- A result of the same acceptance (see result.ts): the operation was final already, and an operator may have put its letter back since.
    local isFinal = before and string.sub(before, 3, 6) == string.sub(outcome, 3, 6)
    if not isFinal and redis.call('HEXISTS', index, member) == 0 then
      redis.call('HSET', bucket, field, outcome)
      redis.call('PEXPIRE', bucket, resultTtl)
      local id = redis.call('XADD', letters, '*', 'q', name, 'i', ARGV[i], 'o', ARGV[i + 1], 'd', ARGV[i + 2], 'r', ARGV[i + 3],
        'n', ARGV[i + 4], 'e', ARGV[i + 5], 't', ARGV[i + 6])
      redis.call('HSET', index, member, id)
      redis.call('SADD', providers, provider)
      redis.call('HINCRBY', counters, 'x', 1)
    end
  end
end

-- Oldest first, whole nodes, never past an entry that is not final: ranks follow each other, so their difference counts entries.
local function trim(queue, counters, final, keep)
  local length, added = redis.call('XLEN', queue), tonumber(redis.call('HGET', counters, 'a') or final)
  local excess = length - (added - final) - keep
  if excess < 100 then return end
  local pending = redis.pcall('XPENDING', queue, 'workers')
  -- A lost group: nobody knows what is final until it is made again.
  if pending.err then return end
  local oldestPending = pending[2]
  if oldestPending then
    local first = redis.call('XRANGE', queue, '-', '+', 'COUNT', 1)[1][1]
    excess = math.min(excess, tonumber(string.match(oldestPending, '-(%d+)')) - tonumber(string.match(first, '-(%d+)')))
  end
  if excess > 0 then redis.call('XTRIM', queue, 'MAXLEN', '~', length - excess) end
end

local function settleQueue(waiting, done)
  local name, provider, keep, queue, counters = nextValue(), nextValue(), nextValue(), nextKey(), nextKey()
  local removed = redis.call('HGET', counters, 'o')
  local firstAck, lastAck = nextList()
  writePairs(removed, rankOfState)
  writePairs(removed, rankOfTrial)
  writeList('HDEL')
  for _ = 1, nextValue() do
    writeList('HSET')
    redis.call('PEXPIRE', KEYS[k], resultTtl)
  end
  writeDeadLetters(name, provider, counters)
  if lastAck < firstAck then return end
  local acknowledged = redis.call('XACK', queue, 'workers', unpack(ARGV, firstAck, lastAck))
  local final = redis.call('HINCRBY', counters, 'f', acknowledged)
  -- Now and then is enough.
  if final % 64 < acknowledged then trim(queue, counters, final, keep) end
  if not waiting then return end
  for a = firstAck, lastAck do
    local member = name .. ' ' .. ARGV[a]
    if redis.call('SREM', waiting, member) == 1 then redis.call('PUBLISH', done, member) end
  end
end

for _ = 1, ARGV[3] do
  local lease, waiting, epoch, done = redis.call('HMGET', nextKey(), 'owner', 'epoch'), nextKey(), nextValue(), nextValue()
  local queues, keys, values = nextValue(), nextValue(), nextValue()
  local isOwner = lease[1] == owner and lease[2] == epoch
  if isOwner then
    waiting = redis.call('EXISTS', waiting) == 1 and waiting
    for _ = 1, queues do settleQueue(waiting, done) end
  else
    k, at = k + keys, at + values
  end
  for _ = 1, queues do reply[#reply + 1] = isOwner and 'ok' or 'lost' end
end
return reply
