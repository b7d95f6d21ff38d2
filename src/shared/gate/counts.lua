-- Part of acquire and peek: a limit's rolling window as counts by sub-window, for limits too large for a list of starts. A
-- sub-window counts in full until its end has left the window: at most 1/128 of `per` is lost, and no window is ever passed.

local subWindows = 128

local function addStart(limit, start)
  local id = math.floor(start / limit.sub)
  if limit.ids[#limit.ids] ~= id then limit.ids[#limit.ids + 1] = id end
  limit.counts[id] = (limit.counts[id] or 0) + 1
  limit.total = limit.total + 1
  limit.dirty[id] = true
end

local function leavesAt(limit, id)
  return math.ceil((id + 1) * limit.sub + limit.span)
end

local function readCounts(limit, now)
  limit.sub = limit.per / subWindows
  limit.ids, limit.counts, limit.total, limit.first, limit.dirty, limit.gone = {}, {}, 0, 1, {}, {}
  local raw = redis.call('HGETALL', limit.countsKey)
  for i = 1, #raw, 2 do
    local id, count = tonumber(raw[i]), tonumber(raw[i + 1])
    if leavesAt(limit, id) <= now then
      limit.gone[#limit.gone + 1] = raw[i]
    else
      limit.ids[#limit.ids + 1] = id
      limit.counts[id] = count
      limit.total = limit.total + count
    end
  end
  table.sort(limit.ids)
  if #raw > 0 then return end
  -- `requests` has grown past what a list holds: its starts become counts.
  local starts = redis.call('LRANGE', limit.listKey, 0, -1)
  for _, start in ipairs(starts) do
    if leavesAt(limit, math.floor(start / limit.sub)) > now then addStart(limit, tonumber(start)) end
  end
  limit.isFolded = #starts > 0
end

local function countsBound(limit, start)
  while limit.first <= #limit.ids do
    local id = limit.ids[limit.first]
    local leaves = leavesAt(limit, id)
    if start < leaves then
      if limit.total < limit.effective then break end
      start = leaves
    end
    limit.total = limit.total - limit.counts[id]
    limit.first = limit.first + 1
  end
  return start
end

-- Takes unused permits off the counts. They were for starts at most `returnWithin` ago, so sub-windows older than that go first:
-- a permit taken off too old a sub-window is counted too long, never too short.
local returnWithin = 30000000

local function giveBack(limit, count, now)
  local old, newest = 0, math.floor((now - returnWithin) / limit.sub)
  while old < #limit.ids and limit.ids[old + 1] <= newest do old = old + 1 end
  for step = 1, #limit.ids do
    local id = limit.ids[step <= old and old - step + 1 or step]
    local taken = math.min(count, limit.counts[id])
    limit.counts[id] = limit.counts[id] - taken
    limit.total = limit.total - taken
    if taken > 0 then limit.dirty[id] = true end
    count = count - taken
  end
end

local function writeCounts(limit, lives)
  local changed = {}
  for id in pairs(limit.dirty) do
    changed[#changed + 1] = id
    changed[#changed + 1] = limit.counts[id]
  end
  callInChunks('HSET', limit.countsKey, changed)
  callInChunks('HDEL', limit.countsKey, limit.gone)
  if #changed > 0 then redis.call('PEXPIRE', limit.countsKey, math.ceil(lives + limit.sub / 1000)) end
  if limit.isFolded then redis.call('DEL', limit.listKey) end
end
