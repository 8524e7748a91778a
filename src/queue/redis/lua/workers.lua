-- KEYS[1]: the workers by their last beat. ARGV: the worker (empty: only count), after how many milliseconds one is
-- dead. Answers how many there are.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
if ARGV[1] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
