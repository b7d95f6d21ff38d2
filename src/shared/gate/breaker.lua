-- Part of acquire: the fleet's circuit breaker. Closed, it counts ended calls over the current half window and the one before it.
-- Open, nothing starts and no report counts. Half open, one probe at a time is out; its outcome closes or opens again.
-- A report names the epoch (time of the last opening) of the permits its calls ran on; another epoch than the present
-- one means calls begun before the opening, and these count for nothing. Without an epoch, only the prober is believed.

local function forgetCalls(state)
  for _, field in ipairs({ 'half', 'ok', 'bad', 'ok0', 'bad0', 'probe', 'probeUntil' }) do drop(state, field) end
end

local function openBreaker(state, policy)
  forgetCalls(state)
  put(state, 'open', state.now + policy.openFor)
  put(state, 'epoch', state.now)
  state.mustPublish = true
end

local function countCalls(state, policy, ok, bad)
  local half = math.floor(state.now / (policy.window / 2))
  local moved = half - number(state, 'half')
  local ok0, bad0 = number(state, 'ok0'), number(state, 'bad0')
  local ok1, bad1 = number(state, 'ok'), number(state, 'bad')
  if moved == 1 then
    ok0, bad0, ok1, bad1 = ok1, bad1, 0, 0
  elseif moved ~= 0 then
    ok0, bad0, ok1, bad1 = 0, 0, 0, 0
  end
  ok1, bad1 = ok1 + ok, bad1 + bad
  local failures, calls = bad0 + bad1, ok0 + bad0 + ok1 + bad1
  if failures > 0 and calls >= policy.minCalls and failures / calls >= policy.failureRate then
    openBreaker(state, policy)
    return
  end
  put(state, 'half', half)
  put(state, 'ok', ok1)
  put(state, 'bad', bad1)
  put(state, 'ok0', ok0)
  put(state, 'bad0', bad0)
end

local function reportCalls(state, policy, request)
  local ok, bad, epoch = request.succeeded, request.failed, request.epoch
  if epoch and epoch ~= number(state, 'epoch') then return end
  local current, isProber = breakerState(state), state.fields.probe == request.worker
  if request.probeEnded and isProber then
    drop(state, 'probe')
    drop(state, 'probeUntil')
  end
  if ok + bad == 0 then return end
  if current == 'closed' then
    countCalls(state, policy, ok, bad)
  elseif current == 'half_open' and (epoch or isProber) then
    if bad > 0 then
      openBreaker(state, policy)
    else
      forgetCalls(state)
      drop(state, 'open')
    end
  end
end

local probePoll = 1000000

-- How many permits pause and breaker let through; why not all, and when to ask again.
local function passable(state, want)
  local now = state.now
  local pausedUntil, opensUntil, current = number(state, 'pause'), number(state, 'open'), breakerState(state)
  if pausedUntil > now and (current ~= 'open' or pausedUntil >= opensUntil) then return 0, 'paused', pausedUntil end
  if current == 'open' then return 0, 'breaker', opensUntil end
  if current == 'closed' then return want end
  local probeUntil = number(state, 'probeUntil')
  if probeUntil > now then return 0, 'breaker', math.min(probeUntil, now + probePoll) end
  return math.min(want, 1), 'breaker', now + probePoll
end
