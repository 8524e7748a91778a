-- ARGV: for each entry its work, its info, and in how many milliseconds it is due.
local function is_queued(work, at)
  local known = redis.call('HGET', bucket(work), work)
  if not known then
    return false
  end
  -- What is known is held against where it should be, so that nothing left behind keeps work from being queued.
  local state = string.sub(known, 1, 1)
  if state == 'd' then
    local due = redis.call('ZSCORE', p .. 'd', work)
    if due and tonumber(due) <= at then
      return true
    end
    redis.call('ZREM', p .. 'd', work)
    return false
  elseif state == 'w' then
    local tail = string.sub(work, 17)
    return redis.call('LPOS', p .. 'b' .. string.sub(work, 1, 16), tail) ~= false
  end
  local id = string.match(known, '^s(%S+)')
  return #redis.call('XRANGE', s, id, id) > 0
end

for i = 1, #ARGV, 3 do
  local work, info, at = ARGV[i], ARGV[i + 1], now + tonumber(ARGV[i + 2])
  if not is_queued(work, at) then
    if at <= now then
      enter(work, info)
    else
      delay(work, info, at)
    end
  end
end
promote(depth - untaken())
