-- ARGV: the consumer, how many entries, after how many idle milliseconds those of others are taken over (0: not now),
-- and whether to begin with what this consumer was handed before ("1").
-- Answers in how many milliseconds the next entry is due (-1: none), and id, work and info of each entry.
local consumer, count, idle = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local taken = {}
local function add(entries)
  for _, entry in ipairs(entries) do
    if entry[2] then
      taken[#taken + 1] = { entry[1], entry[2][2], entry[2][4] }
    else
      -- Deleted by another hand: nothing is left to take.
      redis.call('XACK', s, group, entry[1])
    end
  end
end

mature()
local before = untaken()
if ARGV[4] == '1' then
  local own = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1000, 'STREAMS', s, '0')
  if own then
    add(own[1][2])
  end
end
if idle > 0 then
  local cursor = '0-0'
  repeat
    local claimed = redis.call('XAUTOCLAIM', s, group, consumer, idle, cursor, 'COUNT', math.max(count - #taken, 1))
    cursor = claimed[1]
    add(claimed[2])
  until cursor == '0-0' or #taken >= count
end
local wanted = count - #taken
if wanted > 0 then
  promote(wanted - before)
  local fresh = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', wanted, 'STREAMS', s, '>')
  if fresh then
    add(fresh[1][2])
  end
end
promote(depth - untaken())
local first = redis.call('ZRANGE', p .. 'd', 0, 0, 'WITHSCORES')
local next_due = -1
if #first > 0 then
  next_due = math.max(tonumber(first[2]) - now, 0)
end
return { next_due, taken }
