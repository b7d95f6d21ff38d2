#!lua flags=allow-oom
-- Ends an account's pause, and with it the episode of throttling that would have lasted as long (throttling.lua); where it is told to, closes
-- its breaker, too, and forgets what that has counted. Tells the fleet.
-- Atomic, because between looking and removing another pause may begin, or the breaker open.
-- KEYS[1] hash: the account's state (state.lua). ARGV: 1 channel, 2 account, 3 reason of pauses that stay, '' for none, 4 1 if the breaker
--   closes.
-- Replies `lifted`, `absent` where neither a pause ended nor an open breaker closed. Run twice: `absent`.
-- Cost: O(1).

local fields = redis.call('HMGET', KEYS[1], 'reason', 'factor', 'open', 'half')
local reason, factor, open, half = fields[1], fields[2], fields[3], fields[4]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local endsPause, closes = reason and (ARGV[3] == '' or reason ~= ARGV[3]), ARGV[4] == '1' and open
if endsPause then
  redis.call('HDEL', KEYS[1], 'pause', 'reason')
  local value, since = (factor or ''):match('^(.-):(.*)$')
  -- What the factor was cut to begins to come back, and further throttling cuts it again.
  if value and tonumber(since) > now then redis.call('HSET', KEYS[1], 'factor', string.format('%s:%.0f', value, now)) end
end
if ARGV[4] == '1' and (open or half) then
  -- A new epoch: calls that began before this count for nothing. First, so that the hash is never gone and keeps its life.
  redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', now))
  redis.call('HDEL', KEYS[1], 'open', 'half', 'ok', 'bad', 'ok0', 'bad0', 'probe', 'probeUntil')
end
if not (endsPause or closes) then return 'absent' end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 'lifted'
