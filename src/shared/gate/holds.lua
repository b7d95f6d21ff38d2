-- Part of acquire: concurrency slots. The slots are divided by max-min fairness: all who want more than an even share get the
-- same number, those who want less get what they want. Slots that cannot be divided evenly (all of them, where there are
-- fewer slots than workers) go by turns: first to holders still in their turn, then to who has waited longest without a slot, last
-- to holders whose turn is over. A worker takes its share only from what is free, so the sum never passes the maximum; nothing
-- is taken from a holder: its fair share tells it what to give up. One that no longer reports loses its hold by expiry.

local function rank(worker, now, turn)
  if worker.held == 0 then return 2 end
  return now - worker.since < turn and 1 or 3
end

-- Sets `share` in every worker; returns what nobody wants.
local function divide(workers, slots, now, turn)
  table.sort(workers, function(a, b) return a.want < b.want end)
  local left, unsatisfied = slots, {}
  for i, worker in ipairs(workers) do
    local even = math.floor(left / (#workers - i + 1))
    if worker.want > even then
      for j = i, #workers do
        workers[j].share = even
        unsatisfied[#unsatisfied + 1] = workers[j]
      end
      left = left - even * #unsatisfied
      break
    end
    worker.share = worker.want
    left = left - worker.want
  end
  if #unsatisfied == 0 then return left end
  table.sort(unsatisfied, function(a, b)
    local ofA, ofB = rank(a, now, turn), rank(b, now, turn)
    if ofA ~= ofB then return ofA < ofB end
    if a.since ~= b.since then return a.since < b.since end
    return a.name < b.name
  end)
  for i = 1, left do unsatisfied[i].share = unsatisfied[i].share + 1 end
  return 0
end

-- Whether it is news to the others what this worker wants now and holds; they ask seldom while they have all they can get. It begins to
-- wait for slots that others hold, waits for more of its share, or a turn has ended since it last asked: holders have to come down. Or it has
-- given up slots that somebody waits for. Each is news once, however often it asks.
local function isNews(workers, mine, before, times)
  local lack, lackBefore, doOthersHold, hasTurnEnded = mine.want - mine.held, before.want - before.held, false, false
  for _, worker in ipairs(workers) do
    if worker ~= mine then
      if mine.held < before.held and worker.held < worker.share then return true end
      doOthersHold = doOthersHold or worker.held > 0
      local turnEndsAt = worker.since + times.turn
      hasTurnEnded = hasTurnEnded or worker.held > worker.share and before.ends - times.hold < turnEndsAt and turnEndsAt <= times.now
    end
  end
  return doOthersHold and lack > 0 and (lackBefore <= 0 or mine.held < mine.share and (lack > lackBefore or hasTurnEnded))
end

-- Renews this worker's hold: what it keeps, and from the free slots what its share allows. Returns its slots, its fair share, whether
-- others want more than theirs, and whether all this is news to them.
local function renewHold(state, request, slots)
  local times = { now = state.now, hold = request.holdTtl, turn = request.holdTtl / 10 }
  local now, before = state.now, state.holds[request.worker] or { held = 0, want = 0, ends = 0, since = state.now }
  local mine = { name = request.worker, want = request.wantSlots, held = before.held, since = before.since }
  local kept, others, workers = math.min(request.keepSlots, before.held), 0, { mine }
  mine.want = math.max(mine.want, kept)
  for name, hold in pairs(state.holds) do
    if name ~= request.worker then
      others = others + hold.held
      workers[#workers + 1] = hold
    end
  end
  local fair, othersWait = divide(workers, slots, now, times.turn) + mine.share, false
  for _, worker in ipairs(workers) do othersWait = othersWait or worker ~= mine and worker.want > worker.share end
  local free = math.max(0, slots - others - kept)
  mine.held = math.max(kept, math.min(mine.want, mine.share, kept + free))
  local field, isNew = 'h:' .. request.worker, isNews(workers, mine, before, times)
  if mine.held == 0 and mine.want == 0 then
    if state.holds[request.worker] then state.stale[#state.stale + 1] = field end
    return 0, fair, othersWait, isNew
  end
  if (mine.held > 0) ~= (before.held > 0) then mine.since = now end
  put(state, field, string.format('%.0f:%.0f:%.0f:%.0f', mine.held, mine.want, now + request.holdTtl, mine.since))
  return mine.held, fair, othersWait, isNew
end
