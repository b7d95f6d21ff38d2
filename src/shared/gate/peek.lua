-- Tells an account's state without changing it.
-- One script, so that the parts are of one moment.
-- KEYS: as acquire.lua. ARGV: for each limit its length (ms), requests, burst, margin (ms).
-- Replies {`status`, now (µs), breaker state, paused until (ms, 0 for not), its reason, slots held, factor, {permits left and effective
--   requests of each limit...}, {length (ms), requests (0: not said), remaining, answered at, ends at (ms), 1 if at a reset, of each budget...}}.
-- Cost: O(log requests) for each limit with a list, O(128) with counts.

local state = readState(KEYS[1])
local held = 0
for _, hold in pairs(state.holds) do held = held + hold.held end
local pausedUntil = number(state, 'pause')
local isPaused = pausedUntil > state.now
local shortest
for from = 1, #ARGV, 4 do shortest = math.min(shortest or math.huge, ARGV[from] * 1000) end
readFactor(state, shortest)

local windows, budgets = {}, {}
for from = 1, #ARGV, 4 do
  local limit = readLimit(state, #windows / 2 + 1, from)
  local used, effective = limit.total or startsAfter(limit, state.now - limit.span), limit.effective
  if limit.budget and limit.budget.mode == 'fixed' then effective = math.min(effective, used + math.max(0, limit.budget.room)) end
  windows[#windows + 1] = math.max(0, effective - used)
  windows[#windows + 1] = effective
end
for _, budget in pairs(state.budgets) do
  local isFixed = budget.mode == 'fixed' and 1 or 0
  local values = { budget.per / 1000, budget.requests, budget.remaining, budget.at / 1000, budget.ends / 1000, isFixed }
  for _, value in ipairs(values) do budgets[#budgets + 1] = value end
end
return {
  'status', state.now, breakerState(state), isPaused and math.ceil(pausedUntil / 1000) or 0, isPaused and state.fields.reason or '', held,
  string.format('%.4f', state.factor), windows, budgets,
}
