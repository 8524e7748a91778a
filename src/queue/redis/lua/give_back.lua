-- ARGV: in how many milliseconds the entries are due, then id and work of each, the last first.
local after = tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  local id, work = ARGV[i], ARGV[i + 1]
  local info = settle(id, work)
  if info and after > 0 then
    delay(work, info, now + after)
  elseif info then
    enter(work, info, true)
  end
end
promote(depth - untaken())
