#!lua flags=allow-oom
-- Gives the fleet's access token, or else to one process the right to fetch a new one, with the newest refresh token there is.
-- Atomic, so that of many processes that see no token exactly one fetches it, and none with a refresh token that was given up.
-- KEYS[1] hash: token (sealed), version, fingerprint, margin (ms), api (the address that came with it); expires with the token
-- KEYS[2] string: the process that is fetching a token; expires
-- KEYS[3] string: the newest refresh token (sealed), where the configured one has been replaced; kept
-- KEYS[4] string: the last request for a token, while no other may be made; expires
-- ARGV[1] this process
-- ARGV[2] life of the right to fetch, ms
-- ARGV[3] fingerprint of the credentials: a token of others is not given
-- ARGV[4] version of a token known to be refused, or ''
-- ARGV[5] 'ahead': a token within its margin counts as none
-- ARGV[6] this request
-- ARGV[7] least time between two requests to the token endpoint, ms; 0: none
-- Replies: {'token', sealed, version, life left in ms, margin in ms, api or ''} | {'fetch', sealed refresh token or ''}
--   | {'wait', ms the other one has left at most} | {'later', ms until the token endpoint may be asked again}
-- Run twice: the process that has the right is told 'fetch' again, for the same request even where there is a least time.
-- Cost: O(1).
local held = redis.call('HMGET', KEYS[1], 'token', 'version', 'fingerprint', 'margin', 'api')
if held[1] and held[3] == ARGV[3] and held[2] ~= ARGV[4] then
  local left = redis.call('PTTL', KEYS[1])
  local margin = tonumber(held[4])
  if left > 0 and (ARGV[5] ~= 'ahead' or left > margin) then
    return {'token', held[1], held[2], left, margin, held[5] or ''}
  end
end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then
  return {'wait', math.max(redis.call('PTTL', KEYS[2]), 0)}
end
local interval = tonumber(ARGV[7])
if interval > 0 then
  local last = redis.call('GET', KEYS[4])
  if last and last ~= ARGV[6] then
    return {'later', math.max(redis.call('PTTL', KEYS[4]), 0)}
  end
  -- The request is made within the right's life; when it has ended, the rest is cut to the interval.
  redis.call('SET', KEYS[4], ARGV[6], 'PX', interval + tonumber(ARGV[2]))
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'fetch', redis.call('GET', KEYS[3]) or ''}
