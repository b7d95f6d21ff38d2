#!lua flags=allow-oom
-- Takes away the tokens of credentials that were removed, and leaves marks in their place against workers that have not heard of it.
-- Atomic, so that what is fetched meanwhile finds either the right to publish it or the mark that takes it away.
-- KEYS[1] hash: the access token (sealed)
-- KEYS[2] string: the process that is fetching a token
-- KEYS[3] string: the newest refresh token (sealed)
-- ARGV[1] so long nobody may begin to fetch a token, ms
-- ARGV[2] so long nobody may publish one that was fetched with what lay here before, ms
-- Replies: {'forgotten'}
-- Run twice: does the same again.
-- Cost: O(1).
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], 'removed', 'PX', ARGV[1])
redis.call('SET', KEYS[3], 'removed', 'PX', ARGV[2])
return {'forgotten'}
