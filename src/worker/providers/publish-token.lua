#!lua flags=allow-oom
-- Puts a freshly fetched token where the fleet finds it, with the refresh token that came with it, and gives the right to fetch back.
-- Atomic: the refresh token it was fetched with is spent, so the new one must be there as soon as the access token is; and a process
-- whose right has expired must not overwrite what its successor fetched, unless it alone has the next refresh token.
-- KEYS[1] hash: token (sealed), version, fingerprint, margin (ms), api; expires with the token
-- KEYS[2] string: the process that is fetching a token
-- KEYS[3] string: the newest refresh token (sealed), where the configured one has been replaced; kept
-- KEYS[4] string: the last request for a token, while no other may be made
-- ARGV[1] this process; ARGV[2] sealed token; ARGV[3] its version; ARGV[4] fingerprint of the credentials; ARGV[5] its life, ms
-- ARGV[6] so long before its end it should be fetched anew, ms; ARGV[7] address of the API that came with it, or ''
-- ARGV[8] the new refresh token (sealed), or '': none came; ARGV[9] what KEYS[3] held when the right was given, or ''
-- ARGV[10] least time between two requests to the token endpoint, ms; 0: none
-- Replies: {'published'} | {'late'}: another process has the right now, or a later refresh token is there; nothing is written
-- Run twice: the second time replies 'published' and writes nothing.
-- Cost: O(1).
if redis.call('HGET', KEYS[1], 'version') == ARGV[3] then
  return {'published'}
end
local isMine = redis.call('GET', KEYS[2]) == ARGV[1]
local isNext = ARGV[8] ~= '' and (redis.call('GET', KEYS[3]) or '') == ARGV[9]
if not isMine and not isNext then
  return {'late'}
end
if ARGV[8] ~= '' then
  redis.call('SET', KEYS[3], ARGV[8])
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'version', ARGV[3], 'fingerprint', ARGV[4], 'margin', ARGV[6], 'api', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if isMine then
  redis.call('DEL', KEYS[2])
  if tonumber(ARGV[10]) > 0 then
    redis.call('PEXPIRE', KEYS[4], ARGV[10])
  end
end
return {'published'}
