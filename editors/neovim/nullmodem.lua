-- SPDX-License-Identifier: Apache-2.0
-- nullmodem for nvim-dap: `dofile` this, or copy it into your configuration.
local dap = require('dap')

dap.adapters.nullmodem = {
  type = 'executable',
  command = 'nullmodem',
  args = { 'dap' },
  options = { initialize_timeout_sec = 20 },
}

-- The whole kernel stops and goes on at once, so there is never a second stop that should be passed over.
dap.defaults.nullmodem.auto_continue_if_many_stopped = false

dap.configurations.c = dap.configurations.c or {}
for _, configuration in ipairs({
  { type = 'nullmodem', request = 'launch', name = 'Module in a new machine', module = '${fileDirname}' },
  { type = 'nullmodem', request = 'attach', name = 'Running session' },
}) do
  table.insert(dap.configurations.c, configuration)
end
