-- Part of acquire and peek: reads an account's hash once. All times inside the scripts are microseconds of Redis's clock, kept in
-- Lua's doubles (exact to the microsecond until the year 2255). Fields of the hash:
--   b:<perMs>   "level:at"               a limit's bucket: permits in it just after its newest start `at`; drains requests/perMs
--   h:<worker>  "held:want:until:since"  a concurrency hold; since: when it last went from none to some or back
--   pause, reason                        nothing starts before `pause`
--   open, epoch, probe, probeUntil       breaker: absent `open` = closed; half open once `open` has passed
--   half, ok, bad, ok0, bad0             breaker's calls in the current half window and in the one before it
--   factor      "value:since"            throttling cut the limits to `value`; recovers from `since` on (throttling.lua)
--   u:<perMs>   "mode:remaining:requests:room:at:ends:debt"  what an answer that came `at` said of a window (budgets.lua)
--   recent      "slice=starts ..."       starts by tenth of a second, where budgets need them and no list has them (reports.lua)

local function readBudget(state, field, value)
  local mode, remaining, requests, room, at, ends, debt = value:match('^(%a+):(.-):(.-):(.-):(.-):([^:]*):?(.*)$')
  if tonumber(ends) <= state.now then
    state.stale[#state.stale + 1] = field
    return
  end
  state.matters = math.max(state.matters, tonumber(ends))
  state.budgets[field] = {
    field = field, mode = mode, per = field:sub(3) * 1000, remaining = tonumber(remaining), requests = tonumber(requests),
    room = tonumber(room), at = tonumber(at), ends = tonumber(ends), debt = tonumber(debt) or 0,
  }
end

local function readState(key)
  local time = redis.call('TIME')
  local raw = redis.call('HGETALL', key)
  local state = {
    now = time[1] * 1000000 + time[2], fields = {}, buckets = {}, holds = {}, budgets = {}, stale = {}, last = 0, matters = 0, factor = 1,
  }
  for i = 1, #raw, 2 do
    local field, value = raw[i], raw[i + 1]
    local kind = field:sub(1, 2)
    if kind == 'b:' then
      local level, at = value:match('^(.-):(.*)$')
      local per = tonumber(field:sub(3)) * 1000
      at = tonumber(at)
      state.last = math.max(state.last, at)
      state.matters = math.max(state.matters, at + 2 * per)
      if at + 2 * per < state.now then
        state.stale[#state.stale + 1] = field
      else
        state.buckets[field] = { level = tonumber(level), at = at }
      end
    elseif kind == 'h:' then
      local held, want, expires, since = value:match('^(%d+):(%d+):(%d+):(%d+)$')
      if tonumber(expires) > state.now then
        state.holds[field:sub(3)] = {
          name = field:sub(3), held = tonumber(held), want = tonumber(want), ends = tonumber(expires), since = tonumber(since),
        }
      else
        state.stale[#state.stale + 1] = field
      end
    elseif kind == 'u:' then
      readBudget(state, field, value)
    else
      state.fields[field] = value
    end
  end
  return state
end

local function number(state, field)
  return tonumber(state.fields[field] or 0)
end

local function breakerState(state)
  local opensUntil = number(state, 'open')
  if opensUntil == 0 then return 'closed' end
  return state.now < opensUntil and 'open' or 'half_open'
end

-- Writes are collected here and done at the end, in one HSET and one HDEL.
local function put(state, field, value)
  state.fields[field] = value
  state.changed = state.changed or {}
  state.changed[field] = value
end

local function drop(state, field)
  if state.fields[field] == nil then return end
  state.fields[field] = nil
  if state.changed then state.changed[field] = nil end
  state.stale[#state.stale + 1] = field
end

-- Lua unpacks at most some 8000 values at once.
local function callInChunks(command, key, values)
  for from = 1, #values, 4000 do
    redis.call(command, key, unpack(values, from, math.min(from + 3999, #values)))
  end
end
