#!lua flags=allow-oom
-- Prolongs a lease, and tells which queues may have entries: a bell that was lost with a connection is heard here.
-- Atomic: it may just have been taken by another.
-- KEYS: 1 lease (hash); 2 ready (set). ARGV: 1 owner; 2 epoch; 3 life, ms.
-- Reply: {'renewed', names of ready queues, this Redis's run id or '' where it may not be asked}; {'lost'}. Run twice: the same. Cost: O(ready queues).
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'lost'} end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])))
return {'renewed', redis.call('SMEMBERS', KEYS[2]), string.match(tostring(redis.pcall('INFO', 'server')), 'run_id:(%x+)') or ''}
