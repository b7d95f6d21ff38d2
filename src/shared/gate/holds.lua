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

-- Renews this worker's hold: what it keeps, and from the free slots what its share allows. Returns its slots, its fair share, and whether
-- others want more than theirs.
local function renewHold(state, request, slots)
  local now, before = state.now, state.holds[request.worker]
  local mine = { name = request.worker, want = request.wantSlots, held = 0, since = now }
  if before then mine.held, mine.since = before.held, before.since end
  local kept, others, workers = math.min(request.keepSlots, mine.held), 0, { mine }
  mine.want = math.max(mine.want, kept)
  for name, hold in pairs(state.holds) do
    if name ~= request.worker then
      others = others + hold.held
      workers[#workers + 1] = hold
    end
  end
  local fair, othersWait = divide(workers, slots, now, request.holdTtl / 10) + mine.share, false
  for _, worker in ipairs(workers) do othersWait = othersWait or worker ~= mine and worker.want > worker.share end
  local free = math.max(0, slots - others - kept)
  local held = math.max(kept, math.min(mine.want, mine.share, kept + free))
  local field = 'h:' .. request.worker
  if held == 0 and mine.want == 0 then
    if before then state.stale[#state.stale + 1] = field end
    return 0, fair, othersWait
  end
  if (held > 0) ~= (mine.held > 0) then mine.since = now end
  put(state, field, string.format('%.0f:%.0f:%.0f:%.0f', held, mine.want, now + request.holdTtl, mine.since))
  return held, fair, othersWait
end
