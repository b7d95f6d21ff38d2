-- How much waits in a queue, and since when.
-- Atomic: the counts belong to one moment.
-- KEYS: 1 the queue (stream); 2 counters (hash). ARGV: none.
-- Reply: {'open', entries not final, of these pending, acceptance of the oldest in ms or '', dead letters}. Cost: O(1).
-- Of our group: others may have made groups of their own.
local function lastDelivered(queue)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', queue)) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    if facts.name == 'workers' then return facts['last-delivered-id'] end
  end
end

local known = redis.call('HMGET', KEYS[2], 'a', 'f', 'x')
local open, dead = tonumber(known[1] or 0) - tonumber(known[2] or 0), tonumber(known[3] or 0)
if open <= 0 then return {'open', 0, 0, '', dead} end
local pending = redis.pcall('XPENDING', KEYS[1], 'workers')
local oldest, count, after = nil, 0, '-'
if not pending.err then
  count, oldest, after = pending[1], pending[2], '(' .. lastDelivered(KEYS[1])
end
if not oldest then
  local unread = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', 1)[1]
  oldest = unread and unread[1]
end
return {'open', open, count, oldest and string.match(oldest, '^%d+') or '', dead}
