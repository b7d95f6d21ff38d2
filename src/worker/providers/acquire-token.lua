-- Gives the fleet's access token, or else to one process the right to fetch a new one.
-- Atomic, so that of many processes that see no token exactly one fetches it.
-- KEYS[1] hash: token (sealed), version, fingerprint, margin (ms); expires with the token
-- KEYS[2] string: the process that is fetching a token; expires
-- ARGV[1] this process
-- ARGV[2] life of the right to fetch, ms
-- ARGV[3] fingerprint of the credentials: a token of others is not given
-- ARGV[4] version of a token known to be refused, or ''
-- ARGV[5] 'ahead': a token within its margin counts as none
-- Replies: {'token', sealed, version, life left in ms, margin in ms} | {'fetch'} | {'wait', ms the other one has left at most}
-- Run twice: the process that has the right is told 'fetch' again.
-- Cost: O(1).
local held = redis.call('HMGET', KEYS[1], 'token', 'version', 'fingerprint', 'margin')
if held[1] and held[3] == ARGV[3] and held[2] ~= ARGV[4] then
  local left = redis.call('PTTL', KEYS[1])
  local margin = tonumber(held[4])
  if left > 0 and (ARGV[5] ~= 'ahead' or left > margin) then
    return {'token', held[1], held[2], left, margin}
  end
end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then
  return {'wait', math.max(redis.call('PTTL', KEYS[2]), 0)}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'fetch'}
