#!lua flags=allow-oom
-- Records the ends of attempts: acknowledges what is final, with its outcome, its record's state and, if given up, its dead letter; keeps what
-- must survive of the others. Trims settled history.
-- Atomic: no crash may leave an operation acknowledged without outcome, or applied without record state.
-- KEYS: for each queue nine: lease (hash), the queue (stream), counters (hash), records (hash), trials (hash), dead letters (stream), their index
--   (hash), providers with dead letters (set), waiting (set); and after each nine its result buckets (hash). One slot on a cluster.
-- ARGV: 1 a JSON array of strings, instead of thousands of arguments which the client would have to write one by one: 1 owner; 2 number of
--   queues; 3 life of results, ms; then for each queue: name, epoch, provider, `done` channel, history entries to keep, and six lists, each its
--   length in strings first: ids to acknowledge; record digest, state; trial id, value; ids of trials to forget; dead letters (id, o, d, r,
--   attempts, error, now, which of the result buckets, field there, value); result buckets (how many, then for each: its length, field, value ...).
-- Reply: {'settled', for each queue 'ok' or 'lost' (lease or epoch is another's: nothing was written)}.
-- Run twice: the same, whatever became of its dead letters in between. Cost: O(arguments).
local ARGV = cjson.decode(ARGV[1])
local reply, k, at = {'settled'}, 0, 4

local function list()
  local first = at + 1
  at = first + tonumber(ARGV[at])
  return first, at - 1
end

local function deadLetter(keys, name, provider, first, last)
  for i = first, last, 10 do
    local field = name .. ' ' .. ARGV[i]
    local bucket, outcome = KEYS[keys + 9 + ARGV[i + 7]], ARGV[i + 9]
    local before = redis.call('HGET', bucket, ARGV[i + 8])
    -- A result of the same acceptance (see result.ts): the operation was final already, and an operator may have put its letter back since.
    local isFinal = before and string.sub(before, 3, 6) == string.sub(outcome, 3, 6)
    if not isFinal and redis.call('HEXISTS', KEYS[keys + 7], field) == 0 then
      redis.call('HSET', bucket, ARGV[i + 8], outcome)
      local id = redis.call('XADD', KEYS[keys + 6], '*', 'q', name, 'i', ARGV[i], 'o', ARGV[i + 1], 'd', ARGV[i + 2], 'r', ARGV[i + 3],
        'n', ARGV[i + 4], 'e', ARGV[i + 5], 't', ARGV[i + 6])
      redis.call('HSET', KEYS[keys + 7], field, id)
      redis.call('SADD', KEYS[keys + 8], provider)
      redis.call('HINCRBY', KEYS[keys + 3], 'x', 1)
    end
  end
end

-- Oldest first, whole nodes, never past an entry that is not final: ranks follow each other, so their difference counts entries.
local function trim(queue, final, added, keep)
  local length = redis.call('XLEN', queue)
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

for i = 1, tonumber(ARGV[2]) do
  local name, epoch, provider, done, keep = unpack(ARGV, at, at + 4)
  at = at + 5
  local lease = redis.call('HMGET', KEYS[k + 1], 'owner', 'epoch')
  local isOwner = lease[1] == ARGV[1] and lease[2] == epoch
  reply[i + 1] = isOwner and 'ok' or 'lost'

  local firstAck, lastAck = list()
  local firstRecord, lastRecord = list()
  local firstTrial, lastTrial = list()
  local firstForget, lastForget = list()
  local firstDead, lastDead = list()
  local buckets = tonumber(ARGV[at])
  at = at + 1
  if isOwner then deadLetter(k, name, provider, firstDead, lastDead) end
  for b = 1, buckets do
    local first, last = list()
    if isOwner then
      if last > first then redis.call('HSET', KEYS[k + 9 + b], unpack(ARGV, first, last)) end
      redis.call('PEXPIRE', KEYS[k + 9 + b], ARGV[3])
    end
  end
  if isOwner then
    if lastRecord > firstRecord then redis.call('HSET', KEYS[k + 4], unpack(ARGV, firstRecord, lastRecord)) end
    if lastTrial > firstTrial then redis.call('HSET', KEYS[k + 5], unpack(ARGV, firstTrial, lastTrial)) end
    if lastForget >= firstForget then redis.call('HDEL', KEYS[k + 5], unpack(ARGV, firstForget, lastForget)) end
    if lastAck >= firstAck then
      local acknowledged = redis.call('XACK', KEYS[k + 2], 'workers', unpack(ARGV, firstAck, lastAck))
      local final = redis.call('HINCRBY', KEYS[k + 3], 'f', acknowledged)
      trim(KEYS[k + 2], final, tonumber(redis.call('HGET', KEYS[k + 3], 'a') or final), tonumber(keep))
      if redis.call('EXISTS', KEYS[k + 9]) == 1 then
        for a = firstAck, lastAck do
          local member = name .. ' ' .. ARGV[a]
          if redis.call('SREM', KEYS[k + 9], member) == 1 then redis.call('PUBLISH', done, member) end
        end
      end
    end
  end
  k = k + 9 + buckets
end
return reply
