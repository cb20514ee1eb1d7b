/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/netvsp/rndis.h"
