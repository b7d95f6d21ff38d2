#!lua flags=allow-oom
-- Takes a shard's lease that is free or expired; the epoch grows with every change of hands.
-- Atomic: two workers may ask at once.
-- KEYS: 1 lease (hash). ARGV: 1 owner; 2 life, ms.
-- Reply: {'acquired', epoch, 1 if the former owner died holding it, this Redis's run id or '' where it may not be asked}; {'held', owner, ms left}. Run twice: a new epoch each time. Cost: O(1).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'until')
local isOwned = lease[1] and lease[1] ~= ''
if isOwned and lease[1] ~= ARGV[1] and tonumber(lease[2]) > now then return {'held', lease[1], tonumber(lease[2]) - now} end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
return {'acquired', epoch, isOwned and lease[1] ~= ARGV[1] and 1 or 0,
  string.match(tostring(redis.pcall('INFO', 'server')), 'run_id:(%x+)') or ''}
