-- Puts a freshly fetched token where the fleet finds it, and gives the right to fetch back.
-- Atomic, because a process whose right has expired must not overwrite what its successor fetched.
-- KEYS[1] hash: token (sealed), version, fingerprint, margin (ms); expires with the token
-- KEYS[2] string: the process that is fetching a token
-- ARGV[1] this process
-- ARGV[2] sealed token
-- ARGV[3] its version
-- ARGV[4] fingerprint of the credentials
-- ARGV[5] its life, ms
-- ARGV[6] so long before its end it should be fetched anew, ms
-- Replies: {'published'} | {'late'}: another process has the right now, nothing is written
-- Run twice: the second time replies 'late'.
-- Cost: O(1).
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return {'late'}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'version', ARGV[3], 'fingerprint', ARGV[4], 'margin', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('DEL', KEYS[2])
return {'published'}
