-- Part of acquire and peek: start times that keep every limit. A limit has a bucket (GCRA, kept as a level, so that a change of
-- `requests` takes effect at once) that spreads calls, and its rolling window: no `per + margin` holds more than `requests` starts.
-- The window is a list of the last starts while `requests` is small: the next start waits until the one `requests` before it is
-- out. Else it is counts (counts.lua); a limit that has counts keeps them when `requests` shrinks: a list could not hold their past.
-- What is granted follows `effective`, never more than `requests`; what is kept follows `requests`, so that no history is lost.

local largestList = 10000

-- Limit number i: two keys from KEYS[2 * i], four arguments from ARGV[from].
local function readLimit(state, i, from)
  local per, requests, burst = ARGV[from] * 1000, tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
  local limit = { field = 'b:' .. ARGV[from], listKey = KEYS[2 * i], countsKey = KEYS[2 * i + 1], per = per, requests = requests }
  limit.budget = state.budgets['u:' .. ARGV[from]]
  limit.span = per + ARGV[from + 3] * 1000
  limit.mostBurst = burst
  setEffective(state, limit)
  local bucket = state.buckets[limit.field]
  limit.level, limit.at = bucket and bucket.level or 0, bucket and bucket.at or 0
  if requests > largestList or redis.call('EXISTS', limit.countsKey) == 1 then
    readCounts(limit, state.now)
  else
    limit.length = redis.call('LLEN', limit.listKey)
  end
  return limit
end

-- The start at an index of the list, read some at a time: a call that is refused at once reads few.
local function entryAt(limit, index)
  if not limit.chunk or index >= limit.chunkFrom + #limit.chunk then
    limit.chunkFrom = index
    limit.chunk = redis.call('LRANGE', limit.listKey, index, index + 127)
  end
  return tonumber(limit.chunk[index - limit.chunkFrom + 1])
end

-- How many starts are later than a time: a sorted list by halving, counts by the sub-windows that begin then or later.
local function startsAfter(limit, time)
  if limit.ids then
    local sum = 0
    for _, id in ipairs(limit.ids) do
      if id * limit.sub >= time then sum = sum + limit.counts[id] end
    end
    return sum
  end
  local low, high = 0, limit.length
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', limit.listKey, middle)) <= time then
      low = middle + 1
    else
      high = middle
    end
  end
  return limit.length - low
end

local function listBound(limit, starts)
  local index = limit.length + #starts - limit.effective
  if index < 0 then return 0 end
  local leaving = index < limit.length and entryAt(limit, index) or starts[index - limit.length + 1]
  return leaving + limit.span
end

local function boundOf(limit, start, starts)
  local spread = math.ceil(limit.at + (limit.level - limit.burst + 1) * limit.interval)
  start = math.max(start, spread)
  if limit.ids then return countsBound(limit, start) end
  return math.max(start, listBound(limit, starts))
end

local function record(limit, start)
  limit.level = math.max(0, limit.level - (start - limit.at) / limit.interval) + 1
  limit.at = start
  if limit.ids then addStart(limit, start) end
end

-- Start times for up to `want` permits; and, if one would start beyond `horizon`, that start and the limit that is the cause.
-- A start satisfies all limits at once in one pass: waiting longer for one never breaks another.
local function grantStarts(state, limits, want, horizon)
  local starts, start, cause = {}, math.max(state.now, state.last), nil
  while #starts < want do
    for _, limit in ipairs(limits) do
      local bound = boundOf(limit, start, starts)
      if bound > start then start, cause = bound, limit end
    end
    if start > state.now + horizon then return starts, start, cause end
    for _, limit in ipairs(limits) do record(limit, start) end
    starts[#starts + 1] = start
  end
  return starts
end

local function writeLimit(limit, starts, now)
  local lives = math.ceil((math.max(limit.at, now) + limit.span) / 1000 - now / 1000)
  if not limit.ids then
    if #starts == 0 then return end
    redis.call('RPUSH', limit.listKey, unpack(starts))
    redis.call('LTRIM', limit.listKey, -limit.requests, -1)
    redis.call('PEXPIRE', limit.listKey, lives)
    return
  end
  writeCounts(limit, lives)
end
