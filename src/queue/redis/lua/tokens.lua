-- KEYS[1]: when the rate's next token is due, in microseconds of Redis' time. ARGV: microseconds of one token, how many
-- microseconds may be saved up, how many tokens.
-- Tokens are always granted, for later when they are not due yet: so everybody who asks is served in the order of
-- asking, and nobody asks twice. Answers in how many microseconds they may be used.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, saved, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local from = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now - saved)
-- What was granted at a much lower rate must not hold up a higher one.
from = math.min(from, now + math.max(1000000, 64 * each * wanted))
local next_due = from + each * wanted
redis.call('SET', KEYS[1], string.format('%.0f', next_due), 'PX', math.floor(math.max(next_due - now, 0) / 1000) + 10000)
return math.floor(math.max(from - now, 0))
