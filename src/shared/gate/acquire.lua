-- Asks for permits and concurrency slots of one account, and reports how its calls ended.
-- Atomic, because the fleet shares one history: between reading and recording it nobody else may be granted the same room.
-- KEYS[1] hash: the account's state (state.lua). For limit i: KEYS[2i] list of its last starts (µs), KEYS[2i+1] hash sub-window -> starts.
-- ARGV: 1 worker, 2 permits wanted, 3 horizon (ms), 4 slots kept, 5 slots wanted, 6 calls succeeded, 7 calls failed, 8 epoch of those
--   calls or '', 9 pause (ms, 0 for none), 10 its reason, 11 permits returned, 12 max concurrency, 13 failure rate, 14 min calls,
--   15 breaker window (ms), 16 open for (ms), 17 life of a hold (ms), 18 channel, 19 account; then for each limit its length (ms),
--   requests, burst, margin (ms).
-- Replies {word, now (µs), permits, retry in (µs, 0 for none), slots, fair share, breaker state, paused until (ms, 0 for not), epoch,
--   start of each permit (µs after now; none where the account has no limits)}. Word: `granted` all of them, or why not: `rate`
--   `quota` `paused` `breaker`. Publishes the account where calls must stop.
-- Run twice, it spends the permits twice and counts the report twice, never grants the same room twice; `returned` alone must
--   not be sent twice.
-- Cost: four commands without limits, four more for each; O(permits x limits), counts O(128) for each limit that has them.

local hour = 3600000000
local probePoll = 1000000

local state = readState(KEYS[1])
local now = state.now
local want, horizon = tonumber(ARGV[2]), ARGV[3] * 1000
local request = {
  worker = ARGV[1], keepSlots = tonumber(ARGV[4]), wantSlots = tonumber(ARGV[5]), succeeded = tonumber(ARGV[6]),
  failed = tonumber(ARGV[7]), epoch = tonumber(ARGV[8]), returned = tonumber(ARGV[11]), holdTtl = ARGV[17] * 1000,
}
local breaker = { failureRate = tonumber(ARGV[13]), minCalls = tonumber(ARGV[14]), window = ARGV[15] * 1000, openFor = ARGV[16] * 1000 }

local function reportPause()
  local pausedUntil = now + ARGV[9] * 1000
  if pausedUntil <= now or pausedUntil <= number(state, 'pause') then return end
  put(state, 'pause', pausedUntil)
  put(state, 'reason', ARGV[10])
  state.mustPublish = true
end

-- How many permits pause and breaker let through; why not all, and when to ask again.
local function passable()
  local pausedUntil, opensUntil, current = number(state, 'pause'), number(state, 'open'), breakerState(state)
  if pausedUntil > now and (current ~= 'open' or pausedUntil >= opensUntil) then return 0, 'paused', pausedUntil end
  if current == 'open' then return 0, 'breaker', opensUntil end
  if current == 'closed' then return want end
  local probeUntil = number(state, 'probeUntil')
  if probeUntil > now then return 0, 'breaker', math.min(probeUntil, now + probePoll) end
  return math.min(want, 1), 'breaker', now + probePoll
end

local function readLimits()
  local limits = {}
  for from = 20, #ARGV, 4 do limits[#limits + 1] = readLimit(state, #limits + 1, from) end
  return limits
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

reportPause()
reportCalls(state, breaker, request)
local slots, fair = renewHold(state, request, tonumber(ARGV[12]))
local allowed, refusal, retryAt = passable()
local isHalfOpen = breakerState(state) == 'half_open'
local limits = (allowed > 0 or request.returned > 0) and readLimits() or {}
for _, limit in ipairs(limits) do
  if limit.ids and request.returned > 0 then giveBack(limit, request.returned, now) end
end

local hasLimits = #ARGV >= 20
local starts, permits = {}, allowed
if hasLimits and allowed > 0 then
  local late, cause
  starts, late, cause = grantStarts(state, limits, allowed, horizon)
  permits = #starts
  if late then refusal, retryAt = cause and cause.per >= hour and 'quota' or 'rate', late - horizon / 2 end
end
if isHalfOpen and permits > 0 then
  put(state, 'probe', request.worker)
  put(state, 'probeUntil', (starts[1] or now) + request.holdTtl)
end

for _, limit in ipairs(limits) do writeLimit(limit, starts, now) end
writeState(limits, permits)
if state.mustPublish then redis.call('PUBLISH', ARGV[18], ARGV[19]) end

local isShort = permits < want
local pausedUntil = number(state, 'pause')
local reply = {
  isShort and refusal or 'granted', now, permits, isShort and math.max(1000, math.ceil(retryAt - now)) or 0, slots, fair,
  breakerState(state), pausedUntil > now and math.ceil(pausedUntil / 1000) or 0, number(state, 'epoch'),
}
for i = 1, #starts do reply[9 + i] = starts[i] - now end
return reply
