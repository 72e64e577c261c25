;;; nullmodem.el --- nullmodem for dape  -*- lexical-binding: t -*-
;; SPDX-License-Identifier: Apache-2.0
;; Load this after dape, or copy it into your configuration.

;; The answer to launch comes when the module is built and its machine has booted.
(setq dape-request-timeout 120)

(add-to-list 'dape-configs
             '(nullmodem
               modes (c-mode c-ts-mode)
               command "nullmodem"
               command-args ("dap")
               :type "nullmodem"
               :request "launch"
               :module dape-cwd))

(add-to-list 'dape-configs
             '(nullmodem-session
               modes (c-mode c-ts-mode)
               command "nullmodem"
               command-args ("dap")
               :type "nullmodem"
               :request "attach"))
