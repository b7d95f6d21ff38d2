-- Asks for permits and concurrency slots of one account, and reports how its calls ended.
-- Atomic, because the fleet shares one history: between reading and recording it nobody else may be granted the same room.
-- KEYS[1] hash: the account's state (state.lua). For limit i: KEYS[2i] list of its last starts (µs), KEYS[2i+1] hash sub-window -> starts.
-- ARGV: 1 worker, 2 permits wanted, 3 horizon (ms), 4 slots kept, 5 slots wanted, 6 calls succeeded, 7 calls failed, 8 epoch of those
--   calls or '', 9 pause (ms, 0 for none), 10 its reason, 11 permits returned, 12 max concurrency, 13 failure rate, 14 min calls,
--   15 breaker window (ms), 16 open for (ms), 17 life of a hold (ms), 18 channel of stops, 19 channel of shares,
--   20 account, 21 throttling answers, 22 1 if the probe ended without telling anything, 23 number of limits; then for each limit its length (ms),
--   requests, burst, margin (ms); then for each budget what reports.lua says.
-- Replies {word, now (µs), permits, retry in (µs, 0 for none), slots, fair share, 1 if others want more than theirs, breaker state, paused until (ms, 0 for not), epoch,
--   start of each permit (µs after now; none where the account has no limits)}. Word: `granted` all of them, or why not: `rate`
--   `quota` `paused` `breaker`. Publishes the account where calls must stop,
--   and where others should ask what their share of the slots is now.
-- Run twice, it spends the permits twice and counts the report twice, never grants the same room twice; `returned` alone must
--   not be sent twice.
-- Cost: four commands without limits, four more for each; O(permits x limits), counts O(128) for each limit that has them. A budget
--   reported costs O(log requests) reads of a list.

local hour = 3600000000

local state = readState(KEYS[1])
local now = state.now
local want, horizon = tonumber(ARGV[2]), ARGV[3] * 1000
local request = {
  worker = ARGV[1], keepSlots = tonumber(ARGV[4]), wantSlots = tonumber(ARGV[5]), succeeded = tonumber(ARGV[6]),
  failed = tonumber(ARGV[7]), epoch = tonumber(ARGV[8]), returned = tonumber(ARGV[11]), holdTtl = ARGV[17] * 1000,
  probeEnded = ARGV[22] == '1',
}
local breaker = { failureRate = tonumber(ARGV[13]), minCalls = tonumber(ARGV[14]), window = ARGV[15] * 1000, openFor = ARGV[16] * 1000 }

local limitsFrom, limitsEnd = 24, 23 + 4 * ARGV[23]

local function shortestLimit()
  local shortest
  for from = limitsFrom, limitsEnd, 4 do shortest = math.min(shortest or math.huge, ARGV[from] * 1000) end
  return shortest
end

local function readLimits()
  local limits = {}
  for from = limitsFrom, limitsEnd, 4 do limits[#limits + 1] = readLimit(state, #limits + 1, from) end
  return limits
end

local function refusalBy(window)
  return window and window.per >= hour and 'quota' or 'rate'
end

local function writeState(limits, permits)
  for _, limit in ipairs(limits) do
    if permits > 0 then put(state, limit.field, string.format('%.9f:%.0f', limit.level, limit.at)) end
    state.matters = math.max(state.matters, limit.at + 2 * limit.per)
  end
  callInChunks('HDEL', KEYS[1], state.stale)
  local changed = {}
  for field, value in pairs(state.changed or {}) do
    changed[#changed + 1] = field
    changed[#changed + 1] = value
  end
  callInChunks('HSET', KEYS[1], changed)
  local rest = now + math.max(request.holdTtl + breaker.openFor, breaker.window)
  local untilUs = math.max(rest, state.matters, number(state, 'pause'), number(state, 'open') + breaker.openFor)
  redis.call('PEXPIRE', KEYS[1], math.ceil((untilUs - now) / 1000))
end

local shortest, throttled, hasReports = shortestLimit(), tonumber(ARGV[21]), #ARGV > limitsEnd
readFactor(state, shortest)
reportPause(state, ARGV[9] * 1000, ARGV[10])
if throttled > 0 or state.fields.factor then reportThrottling(state, throttled, shortest) end
reportCalls(state, breaker, request)
local slots, fair, othersWait, isNews = renewHold(state, request, tonumber(ARGV[12]))
local allowed, refusal, retryAt = passable(state, want)
local isHalfOpen = breakerState(state) == 'half_open'
local limits = (allowed > 0 or request.returned > 0 or hasReports) and readLimits() or {}
for _, limit in ipairs(limits) do
  if limit.ids and request.returned > 0 then giveBack(limit, request.returned, now) end
end
useRoom(state, 0, request.returned)
for from = limitsEnd + 1, #ARGV, 6 do reportBudget(state, limits, from) end

local starts, permits = {}, allowed
if allowed > 0 and next(state.budgets) then
  local tightest, again
  permits, tightest, again = budgetBound(state, limits, allowed)
  if tightest then refusal, retryAt = refusalBy(tightest), again end
end
if shortest and permits > 0 then
  local late, cause
  starts, late, cause = grantStarts(state, limits, permits, horizon)
  permits = #starts
  if late then refusal, retryAt = refusalBy(cause), late - horizon / 2 end
  if late and cause and cause.effective < cause.requests then retryAt = math.min(retryAt, pollAt(state, cause.reducedAt)) end
end
if isHalfOpen and permits > 0 then
  put(state, 'probe', request.worker)
  put(state, 'probeUntil', (starts[1] or now) + request.holdTtl)
end

for _, limit in ipairs(limits) do writeLimit(limit, starts, now) end
useRoom(state, permits, 0)
if not next(state.budgets) then
  drop(state, 'recent')
elseif permits > 0 and not longestList(limits) then
  noteRecent(state, starts, permits)
end
writeState(limits, permits)
if state.mustPublish then redis.call('PUBLISH', ARGV[18], ARGV[20]) end
if isNews then redis.call('PUBLISH', ARGV[19], ARGV[20]) end

local isShort = permits < want
local pausedUntil = number(state, 'pause')
local reply = {
  isShort and refusal or 'granted', now, permits, isShort and math.max(1000, math.ceil(retryAt - now)) or 0, slots, fair, othersWait and 1 or 0,
  breakerState(state), pausedUntil > now and math.ceil(pausedUntil / 1000) or 0, number(state, 'epoch'),
}
for i = 1, #starts do reply[10 + i] = starts[i] - now end
return reply
