-- Part of acquire: how many permits the fleet was granted since a time a few seconds ago. The longest list of a limit tells exactly. An
-- account without any list (no limits, or large ones only) keeps counts by tenth of a second for five seconds, while it has a budget.

local sliceUs, slices = 100000, 50

local function longestList(limits)
  local longest
  for _, limit in ipairs(limits) do
    if not limit.ids and (not longest or limit.per > longest.per) then longest = limit end
  end
  return longest
end

-- Starts by slice, for accounts of which no list tells them.
local function readRecent(state)
  local recent, oldest = {}, math.floor(state.now / sliceUs) - slices
  for slice, count in (state.fields.recent or ''):gmatch('(%d+)=(%d+)') do
    if tonumber(slice) > oldest then recent[tonumber(slice)] = tonumber(count) end
  end
  return recent
end

local function noteRecent(state, starts, permits)
  local recent, texts = readRecent(state), {}
  for i = 1, permits do
    local slice = math.floor((starts[i] or state.now) / sliceUs)
    recent[slice] = (recent[slice] or 0) + 1
  end
  for slice, count in pairs(recent) do texts[#texts + 1] = string.format('%.0f=%.0f', slice, count) end
  put(state, 'recent', table.concat(texts, ' '))
end

local function startsSince(state, limits, time)
  local list = longestList(limits)
  if list then return startsAfter(list, time) end
  local sum = 0
  for slice, count in pairs(readRecent(state)) do
    if (slice + 1) * sliceUs > time then sum = sum + count end
  end
  return sum
end
