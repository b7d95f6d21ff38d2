-- Gives the right to fetch a token back after a failure.
-- Atomic, so that only the process that has the right gives it back.
-- KEYS[1] string: the process that is fetching a token
-- ARGV[1] this process
-- Replies: {'released'} | {'kept'}: the right is another's, or nobody's
-- Run twice: the second time replies 'kept'.
-- Cost: O(1).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'kept'}
end
redis.call('DEL', KEYS[1])
return {'released'}
