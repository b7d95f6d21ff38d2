-- Looks up one operation.
-- Atomic: it must not be missed while it moves from pending to final.
-- KEYS: 1 its result bucket (hash); 2 its queue (stream); 3 trials (hash). ARGV: 1 field in the bucket; 2 entry id.
-- Reply: {'final', packed outcome, entry id it was retried as or ''}; {'open', o, d, 1 if a worker has it, trial or ''}; {'unknown'}: no entry, or one that was settled longer ago than
--   its result was kept. Cost: O(1).
-- Of our group: others may have made groups of their own.
local function lastDelivered(queue)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', queue)) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    if facts.name == 'workers' then return facts['last-delivered-id'] end
  end
end

local outcome = redis.call('HGET', KEYS[1], ARGV[1])
if outcome then return {'final', outcome, redis.call('HGET', KEYS[1], ARGV[1] .. 'n') or ''} end
local entry = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1]
if not entry then return {'unknown'} end
local pending = redis.pcall('XPENDING', KEYS[2], 'workers', ARGV[2], ARGV[2], 1)
local isPending = not pending.err and #pending == 1
if not isPending and not pending.err then
  -- Read once and no longer pending: settled. Ranks order a queue's entries.
  if tonumber(string.match(lastDelivered(KEYS[2]), '-(%d+)')) >= tonumber(string.match(ARGV[2], '-(%d+)')) then return {'unknown'} end
end
return {'open', entry[2][2], entry[2][4], isPending and 1 or 0, redis.call('HGET', KEYS[3], ARGV[2]) or ''}
