-- Part of acquire: budgets as they are reported, and what they let through. An answer counted the calls that had reached the provider
-- when it was written: some time between its request's sending and its coming. Our starts after the sending may not be in it
-- (`unseen`), those a window before its coming may be out of it. Counted so, nothing is granted beyond what was said to remain.
-- What is kept is our share, or the room that is left after the unseen: not a number that later starts make wrong. So an answer that
-- comes late, after others that were newer when they came, still says something true; the newest is kept all the same.

local leastPoll, mostPoll = 100000, 10000000

local function putBudget(state, budget)
  local of = string.format(
    '%s:%.0f:%.0f:%.0f:%.0f:%.0f:%.0f', budget.mode, budget.remaining, budget.requests, budget.room, budget.at, budget.ends, budget.debt
  )
  state.matters = math.max(state.matters, budget.ends)
  put(state, budget.field, of)
end

-- Of the limit's requests those for us: what remains and what our own starts hold. Others go on: room is kept for twice what they start, as
-- far as can be told, in the time between a request and the report of its answer. Without it, one in ten of our calls into a window
-- that is nearly full would find that somebody else was quicker.
local function shareOf(limit, budget, age)
  local room = budget.room + startsAfter(limit, budget.at - budget.per)
  local others = math.max(0, (budget.requests > 0 and budget.requests or limit.requests) - room)
  return math.max(0, room - math.floor(2 * others * age / budget.per + 0.5))
end

-- One report: length of its window (ms), requests (0: not said), remaining, until its reset (ms, '' for none), ms since the answer came,
-- ms since its request was sent.
local function reportBudget(state, limits, from)
  local now, resetIn = state.now, tonumber(ARGV[from + 3])
  local budget = {
    field = 'u:' .. ARGV[from], per = ARGV[from] * 1000, requests = tonumber(ARGV[from + 1]), remaining = tonumber(ARGV[from + 2]),
    at = now - ARGV[from + 4] * 1000,
  }
  local before, limit = state.budgets[budget.field], nil
  budget.ends = budget.at + (resetIn and math.min(resetIn * 1000, budget.per) or budget.per)
  if budget.ends <= now or (before and before.at > budget.at) then return end
  for _, other in ipairs(limits) do
    if other.per == budget.per then limit = other end
  end
  budget.room = budget.remaining - startsSince(state, limits, now - ARGV[from + 5] * 1000)
  budget.mode = resetIn and 'fixed' or limit and 'share' or 'rolling'
  if budget.mode == 'share' then budget.room = shareOf(limit, budget, tonumber(ARGV[from + 5]) * 1000) end
  budget.debt = math.max(0, -budget.room)
  budget.room = math.max(0, budget.room)
  state.budgets[budget.field] = budget
  putBudget(state, budget)
  if limit then
    limit.budget = budget
    setEffective(state, limit)
  end
end

-- When to ask again where news may come sooner than room: after as long as there was none, so less and less often.
local function pollAt(state, reportedAt)
  return state.now + math.min(mostPoll, math.max(leastPoll, state.now - reportedAt))
end

-- The budget that lets through fewest of `allowed`, how many, and when it may be more.
local function budgetBound(state, limits, allowed)
  local least, tightest, again = allowed, nil, nil
  local function bound(budget, room, limit)
    if room >= least then return end
    least, tightest = math.max(0, room), budget
    again = math.min(roomAgainAt(budget, limit), pollAt(state, budget.at))
  end
  for _, budget in pairs(state.budgets) do
    if budget.mode ~= 'share' then bound(budget, roomNow(state, budget)) end
  end
  for _, limit in ipairs(limits) do
    if limit.effective == 0 then bound(limit.budget, 0, limit) end
  end
  return least, tightest, again
end

-- Starts take room; unused permits that come back give it back, never more than was said to remain.
local function useRoom(state, permits, returned)
  if permits == returned then return end
  for _, budget in pairs(state.budgets) do
    if budget.mode ~= 'share' then
      budget.room = math.min(budget.remaining, budget.room - permits + math.max(0, returned - budget.debt))
      budget.debt = math.max(0, budget.debt - returned)
      putBudget(state, budget)
    end
  end
end
