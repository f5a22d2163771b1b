/* A simulated libcuda.so.1: strict about order, handles and arguments, and able to fail in the ways of broken machines.
 *
 * SIMULATED_COUNT: GPUs (default 2). SIMULATED_FAULT: one of
 *   code:FUNCTION:NUMBER   that function returns this CUresult
 *   hang:FUNCTION          it never returns
 *   crash:FUNCTION         the process dies by SIGSEGV
 *   wrong                  the kernel of the last GPU gets one integer wrong
 *   untouched              launches succeed, and do nothing
 *   lupine                 cuInit succeeds, counting gives CUresult 46 and no GPU
 * What a strict driver would refuse ends the process with a message: a test then sees a crash.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

static int started, device_of_context = -1, current = -1, module_loaded, pending;
static uint32_t *memory;
static size_t memory_size;

static const char *fault(void) { const char *set = getenv("SIMULATED_FAULT"); return set ? set : ""; }
static int count(void) { const char *set = getenv("SIMULATED_COUNT"); return set ? atoi(set) : 2; }

static void refuse(const char *why) { fprintf(stderr, "simulated libcuda: %s\n", why); _exit(3); }
static void must(int good, const char *why) { if (!good) refuse(why); }

static int enter(const char *function) {
    char kind[16] = "", name[64] = "";
    int code = 0;
    sscanf(fault(), "%15[^:]:%63[^:]:%d", kind, name, &code);
    if (strcmp(name, function) == 0) {
        if (strcmp(kind, "hang") == 0) for (;;) pause();
        if (strcmp(kind, "crash") == 0) raise(SIGSEGV);
        if (strcmp(kind, "code") == 0) return code;
    }
    must(started || strcmp(function, "cuInit") == 0, "cuInit comes first");
    return 0;
}
#define ENTER(name) do { int code = enter(name); if (code) return code; } while (0)

API int cuInit(unsigned flags) { ENTER("cuInit"); must(flags == 0, "flags"); started = 1; return 0; }
API int cuDriverGetVersion(int *version) { ENTER("cuDriverGetVersion"); *version = 13000; return 0; }

API int cuDeviceGetCount(int *found) {
    ENTER("cuDeviceGetCount");
    if (strcmp(fault(), "lupine") == 0) { *found = 0; return 46; }
    *found = count();
    return 0;
}

API int cuDeviceGet(int *device, int index) {
    ENTER("cuDeviceGet");
    must(index >= 0 && index < count(), "no such GPU");
    *device = 100 + index; /* a handle need not be the index */
    return 0;
}

static int index_of(int device) { must(device >= 100 && device < 100 + count(), "no such handle"); return device - 100; }

API int cuDeviceGetName(char *name, int size, int device) {
    ENTER("cuDeviceGetName");
    snprintf(name, (size_t)size, "Simulated GPU %d", index_of(device));
    return 0;
}
API int cuDeviceGetPCIBusId(char *bus, int size, int device) {
    ENTER("cuDeviceGetPCIBusId");
    snprintf(bus, (size_t)size, "0000:0%d:00.0", index_of(device) + 1);
    return 0;
}
API int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    ENTER("cuDeviceTotalMem_v2");
    index_of(device);
    *bytes = (size_t)24 << 30;
    return 0;
}
API int cuDeviceGetAttribute(int *value, int attribute, int device) {
    ENTER("cuDeviceGetAttribute");
    index_of(device);
    must(attribute == 75 || attribute == 76, "attribute");
    *value = attribute == 75 ? 8 : 9;
    return 0;
}
API int cuDevicePrimaryCtxRetain(void **context, int device) {
    ENTER("cuDevicePrimaryCtxRetain");
    device_of_context = index_of(device);
    *context = (void *)(uintptr_t)(0xC0 + device_of_context);
    return 0;
}
API int cuCtxSetCurrent(void *context) {
    ENTER("cuCtxSetCurrent");
    must(device_of_context >= 0 && context == (void *)(uintptr_t)(0xC0 + device_of_context), "no such context");
    current = device_of_context;
    return 0;
}
API int cuModuleLoadDataEx(void **module, const char *text, unsigned options, int *keys, void **values) {
    ENTER("cuModuleLoadDataEx");
    must(current >= 0 && options == 0 && !keys && !values, "module's arguments");
    must(strncmp(text, ".version 4.3\n.target sm_52\n", 26) == 0 && strstr(text, ".visible .entry mix("), "this text");
    module_loaded = 1;
    *module = &module_loaded;
    return 0;
}
API int cuModuleGetFunction(void **function, void *module, const char *name) {
    ENTER("cuModuleGetFunction");
    must(module == &module_loaded && module_loaded && strcmp(name, "mix") == 0, "no such function");
    *function = &pending;
    return 0;
}
API int cuMemAlloc_v2(uint64_t *place, size_t size) {
    ENTER("cuMemAlloc_v2");
    must(current >= 0 && !memory, "memory without a context, or twice");
    memory = calloc(1, size);
    memory_size = size;
    *place = (uint64_t)(uintptr_t)memory ^ 0x5A5A000000000000u; /* not an address of the host's */
    return 0;
}
static uint32_t *there(uint64_t place) {
    must(memory && place == ((uint64_t)(uintptr_t)memory ^ 0x5A5A000000000000u), "no such memory");
    return memory;
}
API int cuMemcpyHtoD_v2(uint64_t place, const void *from, size_t size) {
    ENTER("cuMemcpyHtoD_v2");
    must(size == memory_size, "size");
    memcpy(there(place), from, size);
    return 0;
}
API int cuMemcpyDtoH_v2(void *to, uint64_t place, size_t size) {
    ENTER("cuMemcpyDtoH_v2");
    must(size == memory_size && !pending, "size, or not waited for");
    memcpy(to, there(place), size);
    return 0;
}

API int cuLaunchKernel(void *function, unsigned blocks, unsigned by, unsigned bz, unsigned threads, unsigned ty, unsigned tz,
                       unsigned shared, void *stream, void **parameters, void **extra) {
    ENTER("cuLaunchKernel");
    must(function == &pending && by == 1 && bz == 1 && ty == 1 && tz == 1 && shared == 0 && !stream && !extra, "launch");
    must((size_t)blocks * threads * 4 == memory_size && threads == 256, "grid");
    uint32_t *values = there(*(uint64_t *)parameters[0]), rounds = *(uint32_t *)parameters[1];
    pending = 1;
    if (strcmp(fault(), "untouched") == 0) return 0;
    for (unsigned block = 0; block < blocks; block++) {
        uint32_t shared_memory[256];
        for (unsigned thread = 0; thread < threads; thread++) {
            uint32_t x = values[block * threads + thread];
            for (uint32_t round = 0; round < rounds; round++) x = x * 1664525u + 1013904223u;
            shared_memory[thread] = x;
        }
        for (unsigned thread = 0; thread < threads; thread++)
            values[block * threads + thread] = shared_memory[threads - 1 - thread] ^ (block * threads + thread);
    }
    if (strcmp(fault(), "wrong") == 0 && current == count() - 1) values[memory_size / 12] ^= 1;
    return 0;
}
API int cuCtxSynchronize(void) { ENTER("cuCtxSynchronize"); pending = 0; return 0; }
API int cuMemFree_v2(uint64_t place) { ENTER("cuMemFree_v2"); free(there(place)); memory = NULL; return 0; }
API int cuModuleUnload(void *module) { ENTER("cuModuleUnload"); must(module == &module_loaded, "module"); module_loaded = 0; return 0; }
API int cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER("cuDevicePrimaryCtxRelease_v2");
    must(index_of(device) == current && !memory && !module_loaded, "something is left in the context");
    return 0;
}
API int cuGetErrorName(int code, const char **name) {
    static char text[32];
    snprintf(text, sizeof text, "CUDA_ERROR_%d", code);
    *name = text;
    return 0;
}
