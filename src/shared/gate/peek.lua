-- Tells an account's state without changing it.
-- One script, so that the parts are of one moment.
-- KEYS: as acquire.lua. ARGV: for each limit its length (ms), requests, burst, margin (ms).
-- Replies {`status`, now (µs), breaker state, paused until (ms, 0 for not), its reason, slots held, permits left in each window...}.
-- Cost: O(log requests) for each limit with a list, O(128) with counts.

-- How many starts of a sorted list are still in the window: by halving.
local function startsInWindow(limit, now)
  local low, high = 0, limit.length
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', limit.listKey, middle)) + limit.span <= now then
      low = middle + 1
    else
      high = middle
    end
  end
  return limit.length - low
end

local state = readState(KEYS[1])
local held = 0
for _, hold in pairs(state.holds) do held = held + hold.held end
local pausedUntil = number(state, 'pause')
local isPaused = pausedUntil > state.now
local reply = {
  'status', state.now, breakerState(state), isPaused and math.ceil(pausedUntil / 1000) or 0, isPaused and state.fields.reason or '', held,
}
for from = 1, #ARGV, 4 do
  local limit = readLimit(state, #reply - 5, from)
  reply[#reply + 1] = math.max(0, limit.requests - (limit.total or startsInWindow(limit, state.now)))
end
return reply
