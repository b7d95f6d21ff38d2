-- Adds providers to what is remembered of records.
-- Atomic, because two operations on one record would else each write what the other does not know.
-- KEYS[1] hash: record digest -> providers, joined by commas
-- ARGV: for each record its digest, then the providers to add, joined by commas
-- Reply: {'remembered', number of records that changed}
-- Run twice: the second time nothing changes.
-- Cost: O(records and their providers).
local changed = 0
for i = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  local all = known
  for provider in string.gmatch(ARGV[i + 1], '[^,]+') do
    if not all then
      all = provider
    elseif not string.find(',' .. all .. ',', ',' .. provider .. ',', 1, true) then
      all = all .. ',' .. provider
    end
  end
  if all and all ~= known then
    redis.call('HSET', KEYS[1], ARGV[i], all)
    changed = changed + 1
  end
end
return {'remembered', changed}
