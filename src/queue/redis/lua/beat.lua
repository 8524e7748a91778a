-- ARGV: the consumer, after how many idle milliseconds a consumer is dead, and the ids that this consumer holds.
-- Only those are kept young: what was handed out and never arrived grows old and is taken over.
local consumer, dead = ARGV[1], tonumber(ARGV[2])
mature()
promote(depth - untaken())
local held = {}
for i = 3, #ARGV do
  if #redis.call('XPENDING', s, group, ARGV[i], ARGV[i], 1, consumer) > 0 then
    held[#held + 1] = ARGV[i]
  end
end
for i = 1, #held do
  redis.call('XCLAIM', s, group, consumer, 0, held[i], 'JUSTID')
end
for _, other in ipairs(redis.call('XINFO', 'CONSUMERS', s, group)) do
  local of = {}
  for i = 1, #other, 2 do
    of[other[i]] = other[i + 1]
  end
  if of.name ~= consumer and of.pending == 0 and of.idle > dead then
    redis.call('XGROUP', 'DELCONSUMER', s, group, of.name)
  end
end
