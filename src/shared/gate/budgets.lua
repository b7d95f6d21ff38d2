-- Part of acquire and peek: what answers said is left of a window. Others may use the same account, so it may be less than the
-- configured limit leaves. A budget's mode says what its `room` counts:
--   share    a limit is configured and no reset is known: so many of its requests are for us, the rest is what others use. Room
--            comes back as our own starts leave the window, and from others as news.
--   fixed    the window begins anew at `ends`: so many further starts until then.
--   rolling  nobody configured a limit, no reset is known: so many further starts until there is news.
-- Without news a budget fades with the square of its age, and is gone after a window: others go on at first as they did, and one
-- call that gets through brings news. A linear fade would send a call each `per / requests` into an account that is used up.
-- What a fixed one says is true until it ends.

-- The room that a whole window without news brings back.
local function fading(budget, limit)
  if budget.mode == 'fixed' then return 0 end
  if budget.mode == 'share' then return limit and math.max(0, limit.requests - budget.room) or 0 end
  return math.max(0, budget.requests - budget.remaining)
end

-- Starts beyond what remains either come back unused, within half a minute, or are refused by the provider: no debt for longer than that.
local returnedWithin = 30000000

local function roomNow(state, budget, limit)
  local age = math.max(0, state.now - budget.at)
  local room = age < returnedWithin and budget.room - budget.debt or budget.room
  return math.floor(room + fading(budget, limit) * (age / budget.per) ^ 2)
end

-- When a budget without room has room for one, if there is no news before.
local function roomAgainAt(budget, limit)
  local back = fading(budget, limit)
  if back == 0 then return budget.ends end
  local function at(room) return budget.at + budget.per * math.sqrt(math.max(0, 1 - room) / back) end
  local settled = budget.at + returnedWithin
  local again = at(budget.room - budget.debt)
  return math.min(budget.ends, again <= settled and again or math.max(settled, at(budget.room)))
end

-- The requests of a configured limit that may be used now, and since when it is fewer than configured.
local function setEffective(state, limit)
  limit.effective = limit.requests
  if state.factor < 1 then
    limit.effective = math.max(1, math.floor(limit.requests * state.factor + 1e-6))
    limit.reducedAt = state.cutAt
  end
  if limit.budget and limit.budget.mode == 'share' then
    local room = roomNow(state, limit.budget, limit)
    if room < limit.effective then limit.effective, limit.reducedAt = math.max(0, room), limit.budget.at end
  end
  limit.interval = limit.per / math.max(1, limit.effective)
  limit.burst = math.min(limit.mostBurst, math.max(1, limit.effective))
end
