-- Part of acquire and peek: pauses, and a factor on all configured limits. Throttling nonetheless means that the account has less than
-- we are told it has: each episode cuts the factor to 0.7 of what it is, at least to 0.1; then it recovers by itself. An episode
-- lasts until the pause that came with it ends, at least a second: the calls in flight are refused for the same reason.
-- Recovery begins where the episode ends: 0.05 in a fifth of the shortest window, so that the way back from one cut takes a little longer
-- than the window (what a cut does shows when the starts before it have left); but in at least 1 s, since answers take their time,
-- and at most 10 s: of long windows, pauses and budgets tell more.
-- An account without limits has no factor: the pause is all.

local cutTo, leastFactor, recovered, shortestEpisode = 0.7, 0.1, 0.05, 1000000

local function stepOf(shortest)
  return math.min(10000000, math.max(1000000, shortest / 5))
end

-- shortest: length of the shortest configured limit (µs), nil where there is none.
local function readFactor(state, shortest)
  if not state.fields.factor or not shortest then return end
  local value, since = state.fields.factor:match('^(.-):(.*)$')
  state.cutAt = tonumber(since)
  local steps = math.max(0, state.now - state.cutAt) / stepOf(shortest)
  state.factor = math.min(1, value + recovered * steps)
  state.matters = math.max(state.matters, state.cutAt + (1 - value) / recovered * stepOf(shortest))
end

local function reportThrottling(state, throttled, shortest)
  if not shortest then return end
  if state.factor == 1 then drop(state, 'factor') end
  local since = state.cutAt or 0
  if throttled > 0 and state.now >= since then
    state.factor = math.max(leastFactor, state.factor * cutTo)
    since = state.now + shortestEpisode
  end
  if state.now < since then since = math.max(since, number(state, 'pause')) end
  if since == state.cutAt or state.factor == 1 then return end
  state.cutAt = since
  put(state, 'factor', string.format('%.4f:%.0f', state.factor, since))
  state.matters = math.max(state.matters, since + (1 - state.factor) / recovered * stepOf(shortest))
end

local function reportPause(state, forUs, reason)
  local pausedUntil = state.now + forUs
  if pausedUntil <= state.now or pausedUntil <= number(state, 'pause') then return end
  put(state, 'pause', pausedUntil)
  put(state, 'reason', reason)
  state.mustPublish = true
end
