// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Use every operation of /dev/simple once, from one process, in an order a debugger can follow:
 * open, write, read, ioctl, close.
 *
 *	exercise [TEXT]
 *
 * Prints what each call returned. Exits with 1 at the first call that fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "simple.h"

static void check(long result, const char *call)
{
	if (result < 0) {
		perror(call);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : "written by exercise";
	char buffer[SIMPLE_TEXT_MAX + 1] = "";
	ssize_t length;
	int count;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);	/* each line leaves at once: the next call may stop the machine */

	fd = open("/dev/" SIMPLE_DEVICE, O_RDWR);
	check(fd, "open");
	printf("open: descriptor %d\n", fd);

	length = write(fd, text, strlen(text));
	check(length, "write");
	printf("write: %zd bytes\n", length);

	/* The device's write does not move the file's position, so this starts at the first byte of the text. */
	length = read(fd, buffer, SIMPLE_TEXT_MAX);
	check(length, "read");
	printf("read: %zd bytes: %s\n", length, buffer);

	check(ioctl(fd, SIMPLE_GET_COUNT, &count), "ioctl");
	printf("ioctl: %d operations so far\n", count);

	check(close(fd), "close");
	printf("close: done\n");
	return 0;
}
