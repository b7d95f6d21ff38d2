#!lua flags=allow-oom
-- Gives the right to fetch a token back after a failure.
-- Atomic, so that only the process that has the right gives it back.
-- KEYS[1] string: the process that is fetching a token
-- KEYS[2] string: the last request for a token, while no other may be made
-- ARGV[1] this process
-- ARGV[2] least time between two requests to the token endpoint, ms; 0: none
-- Replies: {'released'} | {'kept'}: the right is another's, or nobody's
-- Run twice: the second time replies 'kept'.
-- Cost: O(1).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'kept'}
end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return {'released'}
